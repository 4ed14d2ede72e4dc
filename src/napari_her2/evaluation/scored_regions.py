"""Logits of every arm on every region, computed once and kept as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms, Scored
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.verdicts import Asked
from napari_her2.models.classifier import StainFeatures

GATED = {
    Stain.HE: "H&E, reconstruction through the gate",
    Stain.IHC: "IHC, reconstruction through the gate",
}
"""Arms of what the product does: the reconstruction is used if the gate agrees."""

FAKE_ALONE = "reconstructed IHC alone"
"""The classifier on a reconstructed IHC and nothing else."""

_RECONSTRUCTED = {Stain.HE: Arm.HE_RECONSTRUCTED, Stain.IHC: Arm.IHC_RECONSTRUCTED}
_ALONE = {Stain.HE: Arm.HE, Stain.IHC: Arm.IHC}

_ORDER = (
    Arm.BOTH.value,
    Arm.HE_RECONSTRUCTED.value,
    Arm.IHC_RECONSTRUCTED.value,
    Arm.HE.value,
    Arm.IHC.value,
)


def other(stain: Stain) -> Stain:
    """Return the other stain."""
    return Stain.IHC if stain is Stain.HE else Stain.HE


@dataclass(slots=True)
class ScoredRegions:
    """What a network said of n regions.

    Attributes
    ----------
    logits
        (n, K) by arm.
    gate
        By observed stain, (n,) each: ``TEST/right`` and ``TEST/foreign``, whether a
        test of the gate (:class:`~napari_her2.evaluation.verdicts.Asked`) took the
        reconstruction of the same region and that of a region of another slide,
        and ``agreement value/…`` and ``reward value/…`` of both.
    distance
        (n,) by stain, how unfamiliar, 1 at the threshold, NaN if unknown.
    """

    logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    gate: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    distance: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write all arrays to an ``.npz`` file."""
        arrays: dict[str, Any] = {
            **{f"logits/{k}": v for k, v in self.logits.items()},
            **{f"distance/{k}": v for k, v in self.distance.items()},
            **{
                f"gate/{stain}/{k}": v
                for stain, values in self.gate.items()
                for k, v in values.items()
            },
        }
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> ScoredRegions:
        """Read what :meth:`save` wrote."""
        made = cls()
        with np.load(path, allow_pickle=False) as arrays:
            for name, array in arrays.items():
                kind, _, rest = name.partition("/")
                if kind == "logits":
                    made.logits[rest] = array
                elif kind == "distance":
                    made.distance[rest] = array
                else:
                    stain, _, value = rest.partition("/")
                    made.gate.setdefault(stain, {})[value] = array
        return made


def reconstruct(
    regions: Regions, arms: NetworkArms, stain: Stain, store: ImageStore
) -> Iterator[EvaluationProgress]:
    """Reconstruct the other stain of all regions, those that are missing."""
    todo = store.missing
    for count, region in enumerate(todo, len(store) - len(todo) + 1):
        store[region] = arms.reconstruct(stain, regions.tile(stain, region))
        yield EvaluationProgress(
            f"reconstructed {other(stain).label}", count, len(store)
        )


def score_regions(
    regions: Regions,
    arms: NetworkArms,
    fakes: dict[Stain, ImageStore],
    result: ScoredRegions,
) -> Iterator[EvaluationProgress]:
    """Score all regions in all arms.

    Parameters
    ----------
    regions
        Where.
    arms
        The network.
    fakes
        By observed stain, the reconstructions of the other one; directions that
        the bundle lacks are left out.
    result
        Filled in.
    """
    n = len(regions)
    rows: dict[str, list[NDArray[np.float32]]] = {}
    distance = {stain: np.full(n, np.nan) for stain in Stain}
    gate: dict[Stain, dict[str, list[float]]] = {
        stain: {} for stain in fakes if arms.network.gate is not None
    }
    partner = regions.partners() if gate else np.arange(n)
    for region in range(n):
        cores = {stain: regions.core(stain, region) for stain in Stain}
        real = {stain: arms.encode(stain, core) for stain, core in cores.items()}
        scored: dict[str, Scored] = {
            Arm.BOTH: arms.score(real[Stain.HE], real[Stain.IHC]),
            Arm.HE: arms.score(real[Stain.HE], None),
            Arm.IHC: arms.score(None, real[Stain.IHC]),
        }
        for stain, store in fakes.items():
            image = store[region]
            fake = arms.encode(other(stain), image)
            beside = scored[_RECONSTRUCTED[stain]] = _beside(arms, stain, real, fake)
            if stain is Stain.HE:
                scored[FAKE_ALONE] = arms.score(None, fake)
            alone = scored[_ALONE[stain]]
            scored[GATED[stain]] = beside
            if stain not in gate:
                continue
            foreign = store[int(partner[region])]
            wrong = _beside(arms, stain, real, arms.encode(other(stain), foreign))
            for name, tried, shown in (
                ("right", beside, image),
                ("foreign", wrong, foreign),
            ):
                verdicts = arms.judge(stain, alone, tried, cores[stain], shown)
                for test, said in verdicts.named().items() if verdicts else ():
                    gate[stain].setdefault(f"{test}/{name}", []).append(said)
            if not gate[stain][f"{Asked.PRODUCT}/right"][region]:
                scored[GATED[stain]] = alone
        for name, value in scored.items():
            rows.setdefault(str(name), []).append(value.logits)
        for comparison in arms.comparisons:
            rows.setdefault(comparison.name, []).append(
                arms.compare(comparison, cores[Stain.HE], cores[Stain.IHC])
            )
        for stain, core in cores.items():
            distance[stain][region] = arms.distance(stain, core)
        yield EvaluationProgress("arms", region + 1, n)
    names = [name for name in _ORDER if name in rows]
    names += [name for name in rows if name not in names]
    result.logits = {name: np.stack(rows[name]) for name in names}
    result.gate = {
        stain.value: {name: np.array(values) for name, values in given.items()}
        for stain, given in gate.items()
    }
    result.distance = {stain.value: values for stain, values in distance.items()}


def _beside(
    arms: NetworkArms,
    stain: Stain,
    real: dict[Stain, StainFeatures],
    fake: StainFeatures,
) -> Scored:
    """Score a real stain with a reconstruction of the other one."""
    both = {stain: real[stain], other(stain): fake}
    return arms.score(both[Stain.HE], both[Stain.IHC])
