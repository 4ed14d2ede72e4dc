"""What becomes of calls when one of two stains gets worse, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain
from napari_her2.evaluation.arm_scores import difference
from napari_her2.evaluation.arms import NetworkArms, Scored
from napari_her2.evaluation.classification import (
    accuracy,
    confusions_by_slide,
    macro_f1,
)
from napari_her2.evaluation.corruption import LEVELS, Corruption, corrupt
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import bootstrap, wilson
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import other, stacked
from napari_her2.evaluation.verdicts import Asked
from napari_her2.models.classifier import StainFeatures

BOTH = "both, CAM"
BOTH_GATED = {
    Asked.REWARD: "both, CAM and gate (reward alone)",
    Asked.PRODUCT: "both, CAM and gate (agreement test, then reward)",
}
CORRUPTED_ALONE = "the corrupted stain alone"
CLEAN_ALONE = "the other stain alone"


Rung = tuple[str, str, int, str]
"""Corrupted stain, corruption, level (0 is the images as they are) and one more."""


@dataclass(slots=True)
class Ladder:
    """What was called at every rung.

    ``logits`` (n, K) by rung and arm; ``taken`` (n,) by rung and test of the gate,
    whether it took the corrupted stain, empty without a gate. Of one region they
    are (K,) and ().
    """

    logits: dict[Rung, NDArray[np.float32]] = field(default_factory=dict)
    taken: dict[Rung, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(cls, regions: Sequence[Ladder]) -> Ladder:
        """Put the ladders of single regions together."""
        return cls(
            stacked([each.logits for each in regions]),
            stacked([each.taken for each in regions]),
        )


class Climber:
    """Scores regions with either stain corrupted in every way at every level.

    The gate is asked whether to add the corrupted stain to the clean one: it is
    told which is which, as where one slide of a case is known to be good.

    Parameters
    ----------
    regions, arms
        Where, and the network.

    Notes
    -----
    The product asks the gate nothing where both stains are real. Its agreement test
    expects a picture with the pixels of its source, and a neighbouring section holds
    other cells: asked here it refuses sound sections too (the rungs of level 0 say
    how many). So the reward alone, DyMo's own test, is an arm of its own beside the
    one that asks both.
    """

    def __init__(self, regions: Regions, arms: NetworkArms) -> None:
        self.regions, self.arms = regions, arms
        self._partner = regions.partners()

    def __call__(self, region: int) -> Ladder:
        """Return the ladder of one region."""
        found, arms, regions = Ladder(), self.arms, self.regions
        mpp = regions.geometry.mpp
        cores = {stain: regions.core(stain, region) for stain in Stain}
        clean = {stain: arms.encode(stain, core) for stain, core in cores.items()}
        for stain in Stain:
            foreign = regions.core(stain, int(self._partner[region]))
            trusted = arms.score(*_in_order({other(stain): clean[other(stain)]}))
            unharmed = self._calls(stain, cores, clean, trusted)
            for how in Corruption:
                self._note(found, (stain.value, how.value, 0), *unharmed)
                for level in LEVELS:
                    image = corrupt(cores[stain], how, level, mpp=mpp, other=foreign)
                    calls = self._calls(
                        stain,
                        {**cores, stain: image},
                        {**clean, stain: arms.encode(stain, image)},
                        trusted,
                    )
                    self._note(found, (stain.value, how.value, level), *calls)
        return found

    def _calls(
        self,
        stain: Stain,
        images: Mapping[Stain, Image],
        features: Mapping[Stain, StainFeatures],
        trusted: Scored,
    ) -> tuple[dict[str, NDArray[np.float32]], Mapping[Asked, bool]]:
        """Return logits by arm, and which tests of the gate take the stain."""
        arms = self.arms
        both = arms.score(*_in_order(features))
        calls = {
            BOTH: both.logits,
            CORRUPTED_ALONE: arms.score(*_in_order({stain: features[stain]})).logits,
            CLEAN_ALONE: trusted.logits,
        }
        observed = other(stain)
        verdicts = arms.judge(observed, trusted, both, images[observed], images[stain])
        taken = verdicts.taken if verdicts else {}
        for asked, name in BOTH_GATED.items() if taken else ():
            calls[name] = (both if taken[asked] else trusted).logits
        for comparison in arms.comparisons:
            if stain in comparison.stains:
                calls[comparison.name] = arms.compare(comparison, images, features)
        return calls, taken

    @staticmethod
    def _note(
        found: Ladder,
        rung: tuple[str, str, int],
        calls: Mapping[str, NDArray[np.float32]],
        taken: Mapping[Asked, bool],
    ) -> None:
        for name, logits in calls.items():
            found.logits[*rung, name] = logits
        for asked, took in taken.items():
            found.taken[*rung, asked.value] = np.asarray(took)


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


def _in_order(
    given: Mapping[Stain, StainFeatures],
) -> tuple[StainFeatures | None, StainFeatures | None]:
    """Return (H&E, IHC)."""
    return given.get(Stain.HE), given.get(Stain.IHC)
