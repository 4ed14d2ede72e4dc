"""How often the gate takes the right reconstruction and refuses a foreign one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.evaluation.intervals import mean_by_slide, wilson
from napari_her2.evaluation.scored_regions import ScoredRegions
from napari_her2.evaluation.verdicts import Asked


def gate_scores(
    scored: ScoredRegions,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    partner: NDArray[np.intp],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return, by observed stain, what the gate took and refused.

    ``asked`` holds the agreement test alone, the reward alone and what the product
    decides. A foreign reconstruction is that of a region of another slide; also
    counted are those whose truth is another class, for one of the same class
    misleads nobody. Nothing without a gate.
    """
    other_class = truth != truth[partner]
    return {
        stain: {
            "n_regions": len(truth),
            "asked": {
                asked.value: _taken(
                    values[f"{asked}/right"],
                    values[f"{asked}/foreign"],
                    truth,
                    slides,
                    other_class,
                    seed,
                )
                for asked in Asked
            },
            **{
                f"median_{value}_{which}": _median(values[f"{value} value/{which}"])
                for value in ("agreement", "reward")
                for which in ("right", "foreign")
            },
        }
        for stain, values in scored.gate.items()
    }


def _taken(
    right: NDArray[np.bool_],
    foreign: NDArray[np.bool_],
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    other_class: NDArray[np.bool_],
    seed: int,
) -> dict[str, Any]:
    return {
        "right_taken": mean_by_slide(right.astype(float), slides, seed=seed).to_json(),
        "foreign_refused": mean_by_slide(
            (~foreign).astype(float), slides, seed=seed
        ).to_json(),
        "foreign_of_another_class_refused": wilson(
            int((~foreign[other_class]).sum()), int(other_class.sum())
        ).to_json(),
        "right_taken_per_class_number": [
            wilson(int(right[truth == k].sum()), int((truth == k).sum())).to_json()
            for k in range(int(truth.max()) + 1)
        ],
    }


def unfamiliar_shares(scored: ScoredRegions) -> dict[str, Any] | None:
    """Return how many regions the bundle would abstain from; None if it cannot tell."""
    if not any(np.isfinite(d).any() for d in scored.distance.values()):
        return None
    either = np.fmax.reduce(list(scored.distance.values()))
    shares = {**scored.distance, "either": either}
    return {
        name: {
            "n_regions": len(distance),
            "abstained": wilson(int((distance > 1).sum()), len(distance)).to_json(),
            "median_distance": _median(distance),
            "largest_distance": round(float(np.nanmax(distance)), 4),
        }
        for name, distance in shares.items()
        if np.isfinite(distance).any()
    }


def _median(values: NDArray[np.float64]) -> float | None:
    there = values[np.isfinite(values)]
    return round(float(np.median(there)), 5) if len(there) else None
