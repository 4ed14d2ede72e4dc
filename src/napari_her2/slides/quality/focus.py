"""How sharp tissue is, in µm of blur, whatever its stain and scanner.

Method: an edge that is blurred by a Gaussian of radius s, and smoothed once more by
one of radius t, has a slope that falls as 1 / sqrt(s² + t²). So the ratio of the
slopes after two smoothings tells s, and neither stain nor contrast enter. Slopes
are taken of the summed optical density, as a root mean square over squares of
tissue, so what is sharpest in a square counts most. The idea is that of re-blurring
(Zhuo and Sim, Pattern Recognition 2011); lines and dots fall faster than edges, so
that the radius told is rather too small: it is a lower bound.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FINE_UM: Final = 1.0
COARSE_UM: Final = 3.0
"""Radii of the two smoothings."""
CELL_UM: Final = 64.0
"""Side of the squares that are judged one by one."""
LEAST_SLOPE: Final = 0.006
"""Root mean square slope after the coarse smoothing, in optical density (sum of
three channels) per µm, below which a square holds too little to be judged."""
LEAST_TISSUE: Final = 0.15
"""Share of a square that must be tissue to be judged."""
_TISSUE_DENSITY: Final = 0.08

Floats = NDArray[np.float32]


def blur_map(
    density: Floats, mpp: float, cell_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the blur of each square in µm and its share of tissue, in [0, 1].

    Parameters
    ----------
    density
        Summed optical density (h, w).
    mpp
        µm per pixel, at most about 1.2.
    cell_px
        Side of the squares.

    Returns
    -------
    blur_um, tissue
        (rows, columns); NaN where a square holds too little to be judged.
    """
    fine = _slope(density, FINE_UM / mpp) / mpp**2
    coarse = _slope(density, COARSE_UM / mpp) / mpp**2
    is_tissue = ndimage.uniform_filter(density, 5) > _TISSUE_DENSITY
    tissue = _means(is_tissue.astype(np.float32), cell_px)
    one, two = _means(fine, cell_px), _means(coarse, cell_px)
    ratio = np.maximum(one / np.maximum(two, 1e-12), 1.0 + 1e-6)
    blur = (COARSE_UM**2 - ratio * FINE_UM**2) / (ratio - 1)
    blur_um = np.sqrt(np.clip(blur, 0, 400))
    is_known = (tissue >= LEAST_TISSUE) & (two / tissue.clip(0.05) > LEAST_SLOPE**2)
    return np.where(is_known, blur_um, np.nan), tissue


def _slope(density: Floats, sigma_px: float) -> Floats:
    """Return the squared slope per pixel² after a smoothing."""
    smooth = ndimage.gaussian_filter(density, sigma_px, truncate=3)
    down, along = np.gradient(smooth)
    return np.asarray(down**2 + along**2, np.float32)


def _means(field: Floats, cell_px: int) -> NDArray[np.float64]:
    rows, cols = (max(1, side // cell_px) for side in field.shape)
    height, width = min(cell_px, field.shape[0]), min(cell_px, field.shape[1])
    part = field[: rows * height, : cols * width]
    return np.asarray(
        part.reshape(rows, height, cols, width).mean((1, 3), dtype=np.float64)
    )
