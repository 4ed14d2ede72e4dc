"""From rays to the words of the guideline: how intense, how complete.

Thresholds are optical densities of DAB at 0.5 µm/px and belong to the result: they
were set on virtual slides and looked at on three real cores, and a laboratory that
has controls on its slides sets its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.cells.membrane import MembraneRays
from napari_her2.core.membrane import patterns_of

Floats = NDArray[np.float32]

BACKGROUND: Final = 0.85
"""Share of the DAB beside a membrane that is taken off the DAB on it."""

STRENGTH_QUANTILE: Final = 0.9
"""Of the densities of the stained rays of a cell: where a neighbour is not stained
the membrane is half as wide, and looks paler after blur than it is."""

_MOST_STRENGTH: Final = 0.6
_LEAST_RAYS: Final = 9


@dataclass(frozen=True, slots=True)
class StainingLimits:
    """Where one word ends and the next begins.

    A ray is stained where the DAB reaches ``stained_od`` and stands out: above the foot
    of the crest by ``crest_od`` and ``crest_share`` of what is there, as a thin line
    does, or above the cytoplasm by ``wall_od`` and ``wall_share`` of it, as a broad
    strong membrane does; a band of brown cytoplasm is flat on top, so that at its
    foot it has fallen by less than ``wall_slope`` of its height. It also stands out of
    the texture of the cytoplasm around, whose mean it exceeds by ``around_od``,
    ``around_share`` of it and ``around_sds`` of its standard deviations, or by
    ``clear_od``.
    ``weak_od``, ``moderate_od`` and ``intense_od`` divide the density above most of
    the background that the strongest tenth of the stained rays reaches.
    ``any_share`` and ``complete_share`` are shares of the way round in [0, 1].

    A stretch shared with a neighbour that is ``neighbour_ratio`` times as stained is
    taken for the neighbour's: a negative cell that touches a positive one is not
    positive (a convention; the guideline is silent).
    """

    stained_od: float = 0.055
    crest_od: float = 0.008
    crest_share: float = 0.18
    wall_od: float = 0.03
    wall_share: float = 0.25
    wall_slope: float = 0.3
    around_od: float = 0.005
    around_share: float = 0.3
    around_sds: float = 1.0
    clear_od: float = 0.09
    weak_od: float = 0.10
    moderate_od: float = 0.20
    intense_od: float = 0.50
    any_share: float = 0.2
    complete_share: float = 0.62
    neighbour_ratio: float = 1.5


@dataclass(frozen=True, slots=True)
class CellStaining:
    """Staining of cells, one value each.

    ``membrane_od`` is the density above background that the strongest tenth of the
    stained rays reaches, 0 where none is stained; ``completeness`` the share of the
    way round that is stained, in [0, 1]; ``intensity`` and ``completeness_class`` are
    the ranks of :class:`~napari_her2.core.membrane.Intensity` and ``Completeness``;
    ``pattern`` those of ``MembranePattern``. ``outline_um`` (n, 36) runs along the
    membrane where it is stained, else along the border of the cell.
    """

    membrane_od: Floats
    completeness: Floats
    intensity: NDArray[np.int8]
    completeness_class: NDArray[np.int8]
    pattern: NDArray[np.int8]
    outline_um: Floats


def read_staining(rays: MembraneRays, limits: StainingLimits) -> CellStaining:
    """Say of every cell how intense and how complete its membrane is stained."""
    foot, cytoplasm = np.maximum(rays.flank, 0), np.maximum(rays.cytoplasm, 0)
    density = rays.peak - BACKGROUND * cytoplasm
    is_line = rays.peak - foot >= limits.crest_od + limits.crest_share * foot
    height = rays.peak - cytoplasm
    is_wall = height >= limits.wall_od + limits.wall_share * cytoplasm
    is_wall &= rays.peak - foot >= limits.wall_slope * height
    around = np.maximum(rays.around, 0)
    texture = limits.around_od + limits.around_share * around
    texture = np.minimum(texture + limits.around_sds * rays.around_sd, limits.clear_od)
    stained = (rays.peak >= limits.stained_od) & (is_line | is_wall)
    stained &= rays.peak - around >= texture
    strength = np.where(stained, np.minimum(density, _MOST_STRENGTH), 0).mean(1)
    beyond = np.concatenate([[0.0], strength])[rays.neighbour]
    theirs = stained & (beyond > limits.neighbour_ratio * strength[:, None] + 0.01)
    own = ~theirs
    own[own.sum(1) < _LEAST_RAYS] = True
    counted = stained & own
    completeness = counted.sum(1) / np.maximum(own.sum(1), 1)
    ranked = np.sort(np.where(counted, density, np.inf), axis=1)
    n_counted = counted.sum(1)
    at = np.rint(STRENGTH_QUANTILE * np.maximum(n_counted - 1, 0)).astype(int)
    upper = np.take_along_axis(ranked, at[:, None], 1)[:, 0]
    membrane_od = np.where(n_counted > 0, upper, 0.0)
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
        outline_um=np.where(stained, rays.radius_um, rays.border_um),
    )
