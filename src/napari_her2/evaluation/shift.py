"""Whether it abstains before it errs: stain and blur moved away step by step.

Both stains are shifted alike. A region counts as abstained where the distance to
what the bundle knows is above 1; the accuracy is that of the regions kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.corruption import LEVELS, Corruption, corrupt
from napari_her2.evaluation.intervals import mean_by_slide, wilson
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import GATED
from napari_her2.evaluation.verdicts import Asked

SHIFTS = (Corruption.BLUR, Corruption.STAIN)
_OBSERVED: dict[str, tuple[Stain, ...]] = {
    Arm.BOTH: (Stain.HE, Stain.IHC),
    GATED[Stain.HE]: (Stain.HE,),
    Arm.IHC: (Stain.IHC,),
}


@dataclass(slots=True)
class Shifted:
    """Calls and distances at every step, by (shift, level).

    ``logits`` (n, K) by arm; ``distance`` (n,) by stain.
    """

    logits: dict[tuple[str, int, str], NDArray[np.float32]] = field(
        default_factory=dict
    )
    distance: dict[tuple[str, int, str], NDArray[np.float64]] = field(
        default_factory=dict
    )


def shift_regions(
    regions: Regions, arms: NetworkArms, result: Shifted
) -> Iterator[EvaluationProgress]:
    """Score all regions at every step of every shift."""
    n, mpp = len(regions), regions.geometry.mpp
    logits: dict[tuple[str, int, str], list[NDArray[np.float32]]] = {}
    distance: dict[tuple[str, int, str], list[float]] = {}
    for region in range(n):
        tiles = {stain: regions.tile(stain, region) for stain in Stain}
        for how in SHIFTS:
            for level in (0, *LEVELS):
                moved = {
                    stain: corrupt(tile, how, level, mpp=mpp, other=tile)
                    for stain, tile in tiles.items()
                }
                cores = {s: regions.geometry.core(tile) for s, tile in moved.items()}
                seen = {s: arms.encode(s, core) for s, core in cores.items()}
                alone = arms.score(seen[Stain.HE], None)
                made = arms.reconstruct(Stain.HE, moved[Stain.HE])
                beside = arms.score(seen[Stain.HE], arms.encode(Stain.IHC, made))
                verdicts = arms.judge(Stain.HE, alone, beside, cores[Stain.HE], made)
                taken = verdicts is None or verdicts.taken[Asked.PRODUCT]
                calls = {
                    Arm.BOTH: arms.score(seen[Stain.HE], seen[Stain.IHC]),
                    GATED[Stain.HE]: beside if taken else alone,
                    Arm.IHC: arms.score(None, seen[Stain.IHC]),
                }
                for name, scored in calls.items():
                    key = (how.value, level, str(name))
                    logits.setdefault(key, []).append(scored.logits)
                for stain, core in cores.items():
                    key = (how.value, level, stain.value)
                    distance.setdefault(key, []).append(arms.distance(stain, core))
        yield EvaluationProgress("shift", region + 1, n)
    result.logits = {key: np.stack(values) for key, values in logits.items()}
    result.distance = {key: np.array(values) for key, values in distance.items()}


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
                "median_distance": round(float(np.median(distance)), 4)
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
