"""Logits of every arm on every region, computed once and kept as arrays.

What is found of a region is a flat record: ``logits/ARM`` (K,); ``distance/STAIN``,
how unfamiliar, 1 at the threshold, NaN if unknown; and, by observed stain,
``gate/STAIN/TEST/right`` and ``…/foreign``, whether a test of the gate
(:class:`~napari_her2.evaluation.verdicts.Asked`) took the reconstruction of the
region and that of a region of another slide, and the values behind both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms, Scored
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.verdicts import Asked
from napari_her2.models.classifier import StainFeatures
from napari_her2.models.network import WITH_RECONSTRUCTION

GATED = {
    Stain.HE: "H&E, reconstruction through the gate",
    Stain.IHC: "IHC, reconstruction through the gate",
}
"""Arms of what the product does: the reconstruction is used if the gate agrees."""

FAKE_ALONE = "reconstructed IHC alone"
"""The classifier on a reconstructed IHC and nothing else."""

_ALONE = {Stain.HE: Arm.HE, Stain.IHC: Arm.IHC}

_ORDER = (
    Arm.BOTH.value,
    Arm.HE_RECONSTRUCTED.value,
    Arm.IHC_RECONSTRUCTED.value,
    Arm.HE.value,
    Arm.IHC.value,
)


Key = TypeVar("Key", bound=Hashable)

Record = dict[str, Any]
"""What was found of one region."""

_KEPT_FEATURES = 16


def other(stain: Stain) -> Stain:
    """Return the other stain."""
    return Stain.IHC if stain is Stain.HE else Stain.HE


def stacked(regions: Sequence[Mapping[Key, Any]]) -> dict[Key, NDArray[Any]]:
    """Return (n, ...) by name of what was found of n regions."""
    return {name: np.stack([each[name] for each in regions]) for name in regions[0]}


@dataclass(slots=True)
class ScoredRegions:
    """What a network said of n regions.

    ``logits`` (n, K) by arm, ``distance`` (n,) by stain, ``gate`` (n,) by observed
    stain and the rest of the name.
    """

    logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    gate: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    distance: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> ScoredRegions:
        """Put the records of regions together."""
        return cls._of_arrays(stacked(list(records)))

    @classmethod
    def _of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ScoredRegions:
        made = cls()
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
        with np.load(path, allow_pickle=False) as arrays:
            return cls._of_arrays(dict(arrays))


class RegionScorer:
    """Scores regions in all arms.

    Parameters
    ----------
    regions
        Where.
    arms
        The network.
    fakes
        By observed stain, the reconstructions of the other one; directions that
        the bundle lacks are left out.
    """

    def __init__(
        self, regions: Regions, arms: NetworkArms, fakes: Mapping[Stain, ImageStore]
    ) -> None:
        self.regions, self.arms, self.fakes = regions, arms, fakes
        asks = bool(fakes) and arms.network.gate is not None
        self._partner = regions.partners() if asks else None
        # what is foreign to one region is the reconstruction of another
        self._encoded = lru_cache(_KEPT_FEATURES)(self._encode)

    def __call__(self, region: int) -> Record:
        """Return the record of a region."""
        regions, arms = self.regions, self.arms
        cores = {stain: regions.core(stain, region) for stain in Stain}
        real = {stain: arms.encode(stain, core) for stain, core in cores.items()}
        scored: dict[str, Scored] = {
            Arm.BOTH: arms.score(real[Stain.HE], real[Stain.IHC]),
            Arm.HE: arms.score(real[Stain.HE], None),
            Arm.IHC: arms.score(None, real[Stain.IHC]),
        }
        gate: Record = {}
        for stain, store in self.fakes.items():
            fake = self._encoded(stain, region)
            beside = _beside(arms, stain, real, fake)
            scored[WITH_RECONSTRUCTION[stain]] = beside
            if stain is Stain.HE:
                scored[FAKE_ALONE] = arms.score(None, fake)
            scored[GATED[stain]] = beside
            if self._partner is None:
                continue
            alone, partner = scored[_ALONE[stain]], int(self._partner[region])
            foreign = _beside(arms, stain, real, self._encoded(stain, partner))
            for which, tried, shown in (
                ("right", beside, store[region]),
                ("foreign", foreign, store[partner]),
            ):
                verdicts = arms.judge(stain, alone, tried, cores[stain], shown)
                for name, said in verdicts.named().items() if verdicts else ():
                    gate[f"gate/{stain.value}/{name}/{which}"] = said
            if not gate[f"gate/{stain.value}/{Asked.PRODUCT}/right"]:
                scored[GATED[stain]] = alone
        return {
            **{f"logits/{name}": scored[name].logits for name in _in_order(scored)},
            **{
                f"logits/{comparison.name}": arms.compare(comparison, cores, real)
                for comparison in arms.comparisons
            },
            **gate,
            **{
                f"distance/{stain.value}": arms.distance(stain, core)
                for stain, core in cores.items()
            },
        }

    def _encode(self, stain: Stain, region: int) -> StainFeatures:
        return self.arms.encode(other(stain), self.fakes[stain][region])


def _in_order(names: Iterable[str]) -> list[str]:
    """Return the arms of the report first."""
    given = [str(name) for name in names]
    return sorted(given, key=lambda n: _ORDER.index(n) if n in _ORDER else len(_ORDER))


def _beside(
    arms: NetworkArms,
    stain: Stain,
    real: Mapping[Stain, StainFeatures],
    fake: StainFeatures,
) -> Scored:
    """Score a real stain with a reconstruction of the other one."""
    both = {stain: real[stain], other(stain): fake}
    return arms.score(both[Stain.HE], both[Stain.IHC])
