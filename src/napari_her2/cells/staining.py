"""From rays to the words of the guideline: how intense, how complete.

Thresholds are optical densities of DAB at 0.5 µm/px and belong to the result: they
were set on virtual slides and looked at on three real cores, and a laboratory that
has controls on its slides sets its own.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.cells.membrane import MembraneRays
from napari_her2.core.membrane import patterns_of

Floats = NDArray[np.float32]

BACKGROUND: Final = 0.85
"""Share of the DAB beside a membrane that is taken off the DAB on it."""

_MOST_STRENGTH: Final = 0.6
_LEAST_RAYS: Final = 9


@dataclass(frozen=True, slots=True)
class StainingLimits:
    """Where one word ends and the next begins.

    A ray is stained where the DAB reaches ``stained_od`` and stands out: above the foot
    of the crest by ``crest_od`` and ``crest_share`` of what is there, as a thin line
    does, or above the cytoplasm by ``wall_od`` and ``wall_share`` of it, as a broad
    strong membrane does; a band of brown cytoplasm is flat on top, so that at its
    foot it has fallen by less than ``wall_slope`` of its height. ``weak_od``,
    ``moderate_od`` and ``intense_od`` divide the median over stained rays of the
    density above most of the background.
    ``any_share`` and ``complete_share`` are shares of the way round in [0, 1].

    A stretch shared with a neighbour that is ``neighbour_ratio`` times as stained is
    taken for the neighbour's: a negative cell that touches a positive one is not
    positive (a convention; the guideline is silent).
    """

    stained_od: float = 0.055
    crest_od: float = 0.016
    crest_share: float = 0.2
    wall_od: float = 0.05
    wall_share: float = 0.12
    wall_slope: float = 0.4
    weak_od: float = 0.06
    moderate_od: float = 0.12
    intense_od: float = 0.30
    any_share: float = 0.28
    complete_share: float = 0.72
    neighbour_ratio: float = 1.5


@dataclass(frozen=True, slots=True)
class CellStaining:
    """Staining of cells, one value each.

    ``membrane_od`` is the median density of the stained rays above background, 0
    where none is stained; ``completeness`` the share of the way round that is
    stained, in [0, 1]; ``intensity`` and ``completeness_class`` are the ranks of
    :class:`~napari_her2.core.membrane.Intensity` and ``Completeness``; ``pattern``
    those of ``MembranePattern``.
    """

    membrane_od: Floats
    completeness: Floats
    intensity: NDArray[np.int8]
    completeness_class: NDArray[np.int8]
    pattern: NDArray[np.int8]


def read_staining(rays: MembraneRays, limits: StainingLimits) -> CellStaining:
    """Say of every cell how intense and how complete its membrane is stained."""
    foot, cytoplasm = np.maximum(rays.flank, 0), np.maximum(rays.cytoplasm, 0)
    density = rays.peak - BACKGROUND * cytoplasm
    is_line = rays.peak - foot >= limits.crest_od + limits.crest_share * foot
    height = rays.peak - cytoplasm
    is_wall = height >= limits.wall_od + limits.wall_share * cytoplasm
    is_wall &= rays.peak - foot >= limits.wall_slope * height
    stained = (rays.peak >= limits.stained_od) & (is_line | is_wall)
    strength = np.where(stained, np.minimum(density, _MOST_STRENGTH), 0).mean(1)
    beyond = np.concatenate([[0.0], strength])[rays.neighbour]
    theirs = stained & (beyond > limits.neighbour_ratio * strength[:, None] + 0.01)
    own = ~theirs
    own[own.sum(1) < _LEAST_RAYS] = True
    counted = stained & own
    completeness = counted.sum(1) / np.maximum(own.sum(1), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cells without a stained ray
        membrane_od = np.nanmedian(np.where(counted, density, np.nan), axis=1)
    membrane_od = np.nan_to_num(membrane_od)
    is_any = completeness >= limits.any_share
    cuts = [limits.weak_od, limits.moderate_od, limits.intense_od]
    intensity = np.where(is_any, 1 + np.digitize(membrane_od, cuts), 0).astype(np.int8)
    degree = is_any.astype(np.int8) + (completeness >= limits.complete_share)
    return CellStaining(
        membrane_od=membrane_od.astype(np.float32),
        completeness=completeness.astype(np.float32),
        intensity=intensity,
        completeness_class=degree.astype(np.int8),
        pattern=patterns_of(intensity, degree),
    )
