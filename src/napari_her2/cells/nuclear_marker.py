"""Whether the DAB of a slide lies in nuclei, as that of Ki67 or ER does.

HER2 stains membranes: lines, and holes where the nuclei are. A nuclear marker leaves
solid brown bodies of the size of nuclei, darker within than at their rim and far darker
than what is around. So bodies are sought in the map of DAB as nuclei are in that of
haematoxylin, and what tells is which share of all DAB lies in those that are solid. A
cell with a stained membrane is such a body too, but pale within.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.cells.nuclei import NucleusScale, find_nuclei
from napari_her2.cells.shape import measure_parts

Floats = NDArray[np.float32]

LEVELS: Final = tuple((0.06 + 1.14 * np.linspace(0, 1, 13)[:-1] ** 1.6).round(3))
BROWN_OD: Final = 0.12
"""DAB from which a pixel is brown."""

LEAST_BODIES: Final = 12
LEAST_PER_MM2: Final = 100.0
LEAST_SHARE: Final = 0.4
"""Solid bodies, their number in a mm² of tissue, and the share of the DAB in them, from
which the stain is nuclear."""

_SMOOTH_UM: Final = 0.3
_RIM_UM: Final = 1.5
_AROUND_UM: Final = (1.0, 3.0)
_DARKER_WITHIN: Final = 1.05
_PALER_AROUND: Final = 0.5
_AREA_UM2: Final = (18.0, 200.0)
_FEWEST_BROWN: Final = 0.0005
"""A block with a smaller share of brown pixels holds no body."""


@dataclass(frozen=True, slots=True)
class BrownBodies:
    """Solid brown bodies of nuclear size, the DAB in them and that of all brown pixels.

    Amounts of DAB are sums of optical densities over pixels; they can be added up.
    """

    n: int
    dab: float
    dab_of: float

    @property
    def share(self) -> float:
        """Share of the DAB that lies in the bodies, in [0, 1]; 0 without any."""
        return self.dab / self.dab_of if self.dab_of else 0.0


def brown_bodies(dab: Floats, mpp: float) -> BrownBodies:
    """Find solid brown bodies in a map (h, w) of DAB, in optical density.

    Parameters
    ----------
    dab
        Amount of DAB (h, w).
    mpp
        Pixel size in µm, near 0.5.
    """
    dab = np.maximum(dab, 0)
    smooth = ndimage.gaussian_filter(dab, _SMOOTH_UM / mpp)
    brown = np.where(smooth > BROWN_OD, dab, 0)
    if np.count_nonzero(brown) < _FEWEST_BROWN * brown.size:
        return BrownBodies(0, 0.0, float(brown.sum()))
    labels = find_nuclei(dab, mpp, NucleusScale(LEVELS, blob=np.inf))
    n = int(labels.max())
    if n == 0:
        return BrownBodies(0, 0.0, float(brown.sum()))
    number = np.arange(n + 1)
    deep = ndimage.distance_transform_edt(labels > 0) * mpp
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    beside = (away * mpp > _AROUND_UM[0]) & (away * mpp <= _AROUND_UM[1])
    within = _means(smooth, np.where(deep > _RIM_UM, labels, 0), n)
    rim = _means(smooth, np.where(deep <= _RIM_UM, labels, 0), n)
    around = _means(smooth, np.where(beside, labels[tuple(nearest)], 0), n)
    area_um2 = measure_parts(labels, n, mpp).area_um2
    is_solid = (within > BROWN_OD) & (within >= _DARKER_WITHIN * rim)
    is_solid &= around < _PALER_AROUND * within
    is_solid &= (area_um2 >= _AREA_UM2[0]) & (area_um2 <= _AREA_UM2[1])
    is_solid[0] = False
    held = np.asarray(ndimage.sum(brown, labels, number))
    return BrownBodies(
        int(is_solid.sum()), float(held[is_solid].sum()), float(brown.sum())
    )


def why_nuclear(seen: Iterable[BrownBodies], tissue_mm2: float) -> str:
    """Return why what was seen in that much tissue is a nuclear stain, or nothing."""
    parts = list(seen)
    all_of_it = BrownBodies(
        sum(one.n for one in parts),
        sum(one.dab for one in parts),
        sum(one.dab_of for one in parts),
    )
    n, share = all_of_it.n, all_of_it.share
    if n < max(LEAST_BODIES, LEAST_PER_MM2 * tissue_mm2) or share < LEAST_SHARE:
        return ""
    return (
        f"nuclear staining ({share:.0%} of the DAB lies in {n} solid bodies of nuclear "
        "size): HER2 stains membranes; check which antibody this is"
    )


def _means(values: Floats, labels: NDArray[np.int32], n: int) -> NDArray[np.float64]:
    """Return the mean over each label, 0 to n, and 0 where it has no pixel."""
    flat = labels.ravel()
    size = np.bincount(flat, minlength=n + 1)
    total = np.bincount(flat, values.ravel(), n + 1)
    return np.asarray(total / np.maximum(size, 1))
