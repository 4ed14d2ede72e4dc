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
from napari_her2.evaluation.intervals import Floats, bootstrap, wilson
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import other
from napari_her2.evaluation.verdicts import Asked

BOTH = "both, CAM"
BOTH_GATED = {
    Asked.REWARD: "both, CAM and gate (reward alone)",
    Asked.PRODUCT: "both, CAM and gate (agreement test, then reward)",
}
CORRUPTED_ALONE = "the corrupted stain alone"
CLEAN_ALONE = "the other stain alone"


@dataclass(slots=True)
class Ladder:
    """What was called at every rung.

    By corrupted stain, corruption, level (0 is the images as they are) and one more:
    ``logits`` (n, K) by arm; ``taken`` (n,) by test of the gate, whether it took the
    corrupted stain, empty without a gate.
    """

    logits: dict[tuple[str, str, int, str], NDArray[np.float32]] = field(
        default_factory=dict
    )
    taken: dict[tuple[str, str, int, str], NDArray[np.bool_]] = field(
        default_factory=dict
    )


def climb(
    regions: Regions, arms: NetworkArms, result: Ladder
) -> Iterator[EvaluationProgress]:
    """Score all regions with either stain corrupted in every way at every level.

    The gate is asked whether to add the corrupted stain to the clean one: it is
    told which is which, as where one slide of a case is known to be good.

    Notes
    -----
    The product asks the gate nothing where both stains are real. Its agreement test
    expects a picture with the pixels of its source, and a neighbouring section holds
    other cells: asked here it refuses sound sections too (the rungs of level 0 say
    how many). So the reward alone, DyMo's own test, is an arm of its own beside the
    one that asks both.
    """
    partner = regions.partners()
    rows: dict[tuple[str, str, int, str], list[NDArray[np.float32]]] = {}
    taken: dict[tuple[str, str, int, str], list[bool]] = {}
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
                    verdicts = arms.judge(
                        other(stain), trusted, both, cores[other(stain)], image
                    )
                    for asked, took in verdicts.taken.items() if verdicts else ():
                        key = (stain.value, how.value, level, asked.value)
                        taken.setdefault(key, []).append(took)
                        if asked in BOTH_GATED:
                            calls[BOTH_GATED[asked]] = (
                                both if took else trusted
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
    result.taken = {key: np.array(values) for key, values in taken.items()}


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


def ladder_gate(ladder: Ladder) -> list[dict[str, Any]]:
    """Return, per stain, corruption and level, how often each test took the stain."""
    rungs = dict.fromkeys(key[:3] for key in ladder.taken)
    return [
        {
            "corrupted": stain,
            "corruption": how,
            "level": level,
            **{
                asked.value: wilson(
                    int(ladder.taken[stain, how, level, asked].sum()),
                    len(ladder.taken[stain, how, level, asked]),
                ).to_json()
                for asked in Asked
            },
        }
        for stain, how, level in rungs
    ]


def _in_order(stain: Stain, mine: Any, others: Any) -> tuple[Any, Any]:
    """Return (H&E, IHC)."""
    return (mine, others) if stain is Stain.HE else (others, mine)


def majority(truth: NDArray[np.intp]) -> float:
    """Return the accuracy of the most frequent truth."""
    counts: Floats = np.bincount(truth).astype(float)
    return round(float(counts.max() / counts.sum()), 5)
