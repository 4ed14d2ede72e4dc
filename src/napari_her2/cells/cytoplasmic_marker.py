"""Whether the DAB of a slide lies in the cytoplasm, and no membrane stands out of it.

In HER2 a brown cell is brown for its membrane: towards its border the DAB rises to a
crest. An antibody to the cytoplasm leaves a plateau from the nucleus to the border. So
of the cells that are strongly brown those are counted in which the crest on most rays
is hardly higher than what lies beside it. Blur flattens crests, too, and browns the
nuclei: only where these are pale is the plateau taken for the antibody's, else it is a
doubt to be told. Pale brown cytoplasm, which HER2 often has, says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.cells.dyes import DyeMaps
from napari_her2.cells.membrane import trace_membranes
from napari_her2.cells.nuclei import (
    NucleusScale,
    find_nuclei,
    measure_scale,
    nuclear_dye,
)
from napari_her2.cells.outline import grow_cells

Floats = NDArray[np.float32]

STRONG_OD: Final = 0.3
"""Mean DAB of a cell beside its nucleus from which it is strongly brown."""

FLAT: Final = 0.2
"""Height of the crest over what lies beside it, as a share of the crest, at the median
ray, below which a membrane does not stand out."""

DOUBT_SHARE: Final = 0.35
DOUBT_CELLS: Final = 20
REFUSED_SHARE: Final = 0.5
REFUSED_CELLS: Final = 40
PALE_NUCLEI: Final = 0.2
"""Shares of the strongly brown cells without a crest, and numbers of them; and the
DAB in their nuclei as a share of that around."""

_AREA_UM2: Final = 135_000.0
"""So much is looked at altogether: enough cells, in a second or two."""

_FEWEST_BROWN: Final = 0.03
_LEAST_PEAK: Final = 0.05


@dataclass(frozen=True, slots=True)
class BrownCells:
    """Strongly brown cells, those of them without a crest, and how brown nuclei are.

    ``nuclei`` is the median DAB in the nuclei of these cells, as a share of that
    around; NaN without any.
    """

    n: int = 0
    n_flat: int = 0
    nuclei: float = float("nan")

    @property
    def share(self) -> float:
        """Share of them without a crest, in [0, 1]; 0 without any."""
        return self.n_flat / self.n if self.n else 0.0


def brown_cells(seen: Sequence[DyeMaps], mpp: float) -> BrownCells:
    """Find strongly brown cells in the middle of some places, .135 mm² in all.

    Parameters
    ----------
    seen
        Dyes of places of one slide.
    mpp
        Pixel size in µm, near 0.5.
    """
    side_px = round(np.sqrt(_AREA_UM2 / max(len(seen), 1)) / mpp)
    maps: list[tuple[Floats, Floats]] = []
    for one in seen:
        height, width = one.dab.shape
        y, x = max(0, (height - side_px) // 2), max(0, (width - side_px) // 2)
        cut = np.s_[y : y + side_px, x : x + side_px]
        dab: Floats = np.maximum(one.dab[cut], 0).astype(np.float32)
        if np.count_nonzero(dab > STRONG_OD) >= _FEWEST_BROWN * dab.size:
            maps.append((nuclear_dye(one.haematoxylin[cut], dab), dab))
    if not maps:
        return BrownCells()
    scale = measure_scale([blue for blue, _ in maps], mpp)
    found = [_crests(blue, dab, mpp, scale) for blue, dab in maps]
    crest, nuclei = np.concatenate(found, axis=1)
    if not crest.size:
        return BrownCells()
    n_flat = int((crest < FLAT).sum())
    return BrownCells(crest.size, n_flat, float(np.median(nuclei)))


def why_cytoplasmic(seen: BrownCells) -> str:
    """Return why the stain is one of the cytoplasm, or nothing."""
    is_flat = seen.n >= REFUSED_CELLS and seen.share >= REFUSED_SHARE
    if not is_flat or not seen.nuclei <= PALE_NUCLEI:
        return ""
    return (
        f"cytoplasmic staining (in {seen.share:.0%} of {seen.n} strongly brown cells "
        "no membrane stands out, and their nuclei are pale): HER2 stains membranes; "
        "check which antibody this is"
    )


def cytoplasmic_doubt(seen: BrownCells) -> str:
    """Return a doubt about the stain that keeps no slide from being scored."""
    if seen.n < DOUBT_CELLS or seen.share < DOUBT_SHARE:
        return ""
    return (
        f"in {seen.share:.0%} of {seen.n} strongly brown cells no membrane stands out "
        "of the cytoplasm: blurred, or another antibody?"
    )


def _crests(blue: Floats, dab: Floats, mpp: float, scale: NucleusScale) -> Floats:
    """Return of strongly brown cells the crest, and the DAB in the nucleus: (2, n)."""
    nuclei = find_nuclei(blue, mpp, scale)
    n = int(nuclei.max())
    if n == 0:
        return np.zeros((2, 0), np.float32)
    cells = grow_cells(nuclei, dab, mpp)
    around = _means(dab, np.where(nuclei == 0, cells, 0), n)
    within = _means(dab, nuclei, n)
    rays = trace_membranes(nuclei, cells, dab, mpp)
    beside = np.maximum(rays.cytoplasm, 0)
    crest = (rays.peak - beside) / np.maximum(rays.peak, _LEAST_PEAK)
    is_brown = around > STRONG_OD
    told = np.median(crest, axis=1)[is_brown], within[is_brown] / around[is_brown]
    return np.stack(told).astype(np.float32)


def _means(values: Floats, labels: NDArray[np.int32], n: int) -> NDArray[np.float64]:
    """Return the mean over each label from 1 to n, and 0 where it has no pixel."""
    flat = labels.ravel()
    size = np.bincount(flat, minlength=n + 1)
    total = np.bincount(flat, values.ravel(), n + 1)
    return np.asarray((total / np.maximum(size, 1))[1:])
