"""What becomes of calls when one of two stains gets worse, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain
from napari_her2.evaluation.arm_scores import difference
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.classification import (
    accuracy,
    confusions_by_slide,
    macro_f1,
)
from napari_her2.evaluation.corruption import LEVELS, Corruption, corrupt
from napari_her2.evaluation.intervals import Floats, bootstrap
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import other

BOTH = "both, CAM"
BOTH_GATED = "both, CAM and gate"
CORRUPTED_ALONE = "the corrupted stain alone"
CLEAN_ALONE = "the other stain alone"


@dataclass(slots=True)
class Ladder:
    """What was called at every rung.

    ``logits`` (n, K) by corrupted stain, corruption, level and arm; level 0 is the
    images as they are.
    """

    logits: dict[tuple[str, str, int, str], NDArray[np.float32]] = field(
        default_factory=dict
    )


def climb(
    regions: Regions, arms: NetworkArms, result: Ladder
) -> Iterator[EvaluationProgress]:
    """Score all regions with either stain corrupted in every way at every level.

    The gate is asked whether to add the corrupted stain to the clean one: it is
    told which is which, as where one slide of a case is known to be good.
    """
    partner = regions.partners()
    rows: dict[tuple[str, str, int, str], list[NDArray[np.float32]]] = {}
    mpp = regions.geometry.mpp
    for region in range(len(regions)):
        cores = {stain: regions.core(stain, region) for stain in Stain}
        clean = {stain: arms.encode(stain, core) for stain, core in cores.items()}
        for stain in Stain:
            foreign = regions.core(stain, int(partner[region]))
            steady = clean[other(stain)]
            trusted = arms.score(*_in_order(stain, None, steady))
            for how in Corruption:
                for level in (0, *LEVELS):
                    image = corrupt(cores[stain], how, level, mpp=mpp, other=foreign)
                    features = clean[stain] if level == 0 else arms.encode(stain, image)
                    both = arms.score(*_in_order(stain, features, steady))
                    calls = {
                        BOTH: both.logits,
                        CORRUPTED_ALONE: arms.score(
                            *_in_order(stain, features, None)
                        ).logits,
                        CLEAN_ALONE: trusted.logits,
                    }
                    verdict = arms.judge(other(stain), trusted, both)
                    if verdict is not None:
                        calls[BOTH_GATED] = (
                            both if verdict.accepted else trusted
                        ).logits
                    for comparison in arms.comparisons:
                        if stain in comparison.stains:
                            calls[comparison.name] = arms.compare(
                                comparison,
                                *_in_order(stain, image, cores[other(stain)]),
                            )
                    for name, logits in calls.items():
                        key = (stain.value, how.value, level, name)
                        rows.setdefault(key, []).append(logits)
        yield EvaluationProgress("ladder", region + 1, len(regions))
    result.logits = {key: np.stack(values) for key, values in rows.items()}


def ladder_scores(
    ladder: Ladder,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one row per stain, corruption, level and arm.

    ``cam_minus`` is the accuracy of both stains with attention minus that of the
    row's arm, on the same regions.
    """
    rows = []
    for (stain, how, level, arm), logits in ladder.logits.items():
        probabilities = classes.probabilities(logits)
        by_slide = confusions_by_slide(
            truth, probabilities.argmax(1), slides, len(classes.names)
        )
        cam = classes.probabilities(ladder.logits[stain, how, level, BOTH])
        rows.append(
            {
                "corrupted": stain,
                "corruption": how,
                "level": level,
                "arm": arm,
                "n_regions": len(truth),
                "accuracy": bootstrap(by_slide, accuracy, seed=seed).to_json(),
                "macro_f1": bootstrap(by_slide, macro_f1, seed=seed).to_json(),
                "cam_minus": difference(
                    cam, probabilities, truth, slides, seed=seed
                ).to_json(),
            }
        )
    return rows


def _in_order(stain: Stain, mine: Any, others: Any) -> tuple[Any, Any]:
    """Return (H&E, IHC)."""
    return (mine, others) if stain is Stain.HE else (others, mine)


def majority(truth: NDArray[np.intp]) -> float:
    """Return the accuracy of the most frequent truth."""
    counts: Floats = np.bincount(truth).astype(float)
    return round(float(counts.max() / counts.sum()), 5)
