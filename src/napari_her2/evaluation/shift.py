"""Whether it abstains before it errs: stain and blur moved away step by step.

Both stains are shifted alike. A region counts as abstained where the distance to
what the bundle knows is above 1; the accuracy is that of the regions kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.corruption import LEVELS, Corruption, corrupt
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import mean_by_slide, wilson
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import GATED, stacked
from napari_her2.evaluation.verdicts import Asked

SHIFTS = (Corruption.BLUR, Corruption.STAIN)
_OBSERVED: dict[str, tuple[Stain, ...]] = {
    Arm.BOTH: (Stain.HE, Stain.IHC),
    GATED[Stain.HE]: (Stain.HE,),
    Arm.IHC: (Stain.IHC,),
}


Step = tuple[str, int, str]
"""Shift, level and one more."""


@dataclass(slots=True)
class Shifted:
    """Calls and distances at every step.

    ``logits`` (n, K) by step and arm; ``distance`` (n,) by step and stain. Of one
    region they are (K,) and ().
    """

    logits: dict[Step, NDArray[np.float32]] = field(default_factory=dict)
    distance: dict[Step, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, regions: Sequence[Shifted]) -> Shifted:
        """Put what was found of single regions together."""
        return cls(
            stacked([each.logits for each in regions]),
            stacked([each.distance for each in regions]),
        )


class Shifter:
    """Scores regions at every step of every shift.

    Parameters
    ----------
    regions, arms
        Where, and the network.
    """

    def __init__(self, regions: Regions, arms: NetworkArms) -> None:
        self.regions, self.arms = regions, arms

    def __call__(self, region: int) -> Shifted:
        """Return what is found of one region."""
        found, mpp = Shifted(), self.regions.geometry.mpp
        tiles = {stain: self.regions.tile(stain, region) for stain in Stain}
        unmoved = self._calls(tiles)
        for how in SHIFTS:
            for level in (0, *LEVELS):
                calls, distances = (
                    unmoved
                    if level == 0
                    else self._calls(
                        {
                            stain: corrupt(tile, how, level, mpp=mpp, other=tile)
                            for stain, tile in tiles.items()
                        }
                    )
                )
                for name, logits in calls.items():
                    found.logits[how.value, level, name] = logits
                for name, distance in distances.items():
                    found.distance[how.value, level, name] = distance
        return found

    def _calls(
        self, tiles: Mapping[Stain, Image]
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """Return logits by arm and distances by stain."""
        arms = self.arms
        cores = {s: self.regions.geometry.core(tile) for s, tile in tiles.items()}
        seen = {stain: arms.encode(stain, core) for stain, core in cores.items()}
        alone = arms.score(seen[Stain.HE], None)
        made = arms.reconstruct(Stain.HE, tiles[Stain.HE])
        beside = arms.score(seen[Stain.HE], arms.encode(Stain.IHC, made))
        verdicts = arms.judge(Stain.HE, alone, beside, cores[Stain.HE], made)
        taken = verdicts is None or verdicts.taken[Asked.PRODUCT]
        return {
            Arm.BOTH.value: arms.score(seen[Stain.HE], seen[Stain.IHC]).logits,
            GATED[Stain.HE]: (beside if taken else alone).logits,
            Arm.IHC.value: arms.score(None, seen[Stain.IHC]).logits,
        }, {
            stain.value: np.asarray(arms.distance(stain, core))
            for stain, core in cores.items()
        }


def shift_scores(
    shifted: Shifted,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one row per shift, level and arm: abstention and accuracy."""
    rows = []
    for (how, level, arm), logits in shifted.logits.items():
        right = classes.probabilities(logits).argmax(1) == truth
        each = [shifted.distance[how, level, stain.value] for stain in _OBSERVED[arm]]
        distance = np.fmax.reduce(each)
        knows = bool(np.isfinite(distance).any())
        kept = ~(distance > 1)
        hits = right.astype(float)
        rows.append(
            {
                "shift": how,
                "level": level,
                "arm": arm,
                "n_regions": len(truth),
                "abstained": wilson(int((~kept).sum()), len(kept)).to_json()
                if knows
                else [None, None, None],
                "median_distance": round(float(np.nanmedian(distance)), 4)
                if knows
                else None,
                "accuracy_of_all": mean_by_slide(hits, slides, seed=seed).to_json(),
                "accuracy_of_kept": mean_by_slide(
                    np.where(kept, hits, np.nan), slides, seed=seed
                ).to_json(),
                "n_kept": int(kept.sum()),
                "wrong_and_kept": round(float((kept & ~right).mean()), 5),
            }
        )
    return rows
