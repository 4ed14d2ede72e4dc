"""Nuclei grown together into one part, cut where it narrows.

A part of two nuclei is widest at two places. It is divided by a watershed of the
distance from its rim (Malpica et al., Cytometry 1997), and stays divided only if the
pieces are better ellipses than the whole; so a bent or notched nucleus stays one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_her2.cells.rims import depth_of
from napari_her2.cells.shape import LEAST_AREA_UM2, measure_parts

Labels = NDArray[np.int32]

SMOOTH_UM: Final = 0.4
PEAK_UM: Final = 2.0
"""Two widest places lie at least this far apart."""

LEAST_GAIN: Final = 0.01
"""How much more elliptic the pieces are than the whole."""


def split_at_waists(labels: Labels, mpp: float) -> Labels:
    """Return the nuclei (h, w) with those grown together divided, without gaps."""
    n = int(labels.max())
    if n == 0:
        return labels
    wide = ndimage.gaussian_filter(depth_of(labels, mpp), SMOOTH_UM / mpp)
    wide = np.where(labels > 0, wide, 0)
    highest = ndimage.maximum_filter(wide, 2 * round(PEAK_UM / mpp) + 1)
    is_peak = (wide > 0) & (wide == highest)
    peaks, n_peaks = ndimage.label(is_peak, np.ones((3, 3)))
    owner = np.zeros(n_peaks + 1, np.int64)
    owner[peaks[peaks > 0]] = labels[peaks > 0]
    joined = np.bincount(owner, minlength=n + 1) > 1
    joined[0] = False
    mask = joined[labels]
    pieces = watershed(-wide, np.where(mask, peaks, 0), mask=mask)
    cut = _is_better(labels, n, pieces.astype(np.int32), owner, mpp) & joined
    split = np.where(cut[labels], n + pieces, labels)
    _, number = np.unique(np.append(split, 0), return_inverse=True)
    return number[:-1].reshape(labels.shape).astype(np.int32)


def _is_better(
    labels: Labels, n: int, pieces: Labels, owner: NDArray[np.int64], mpp: float
) -> NDArray[np.bool_]:
    """Tell of every part (n + 1) whether its pieces look more like nuclei."""
    whole = measure_parts(labels, n, mpp)
    part = measure_parts(pieces, len(owner) - 1, mpp)
    drawn = np.bincount(pieces.ravel(), minlength=len(owner)) > 0
    drawn[0] = False
    of, area = owner[drawn], part.area_um2[drawn]
    total = np.bincount(of, area, n + 1)
    shape = np.bincount(of, part.elliptic[drawn] * area, n + 1)
    least = np.full(n + 1, np.inf)
    np.minimum.at(least, of, area)
    gain = shape / np.maximum(total, 1e-9) - whole.elliptic
    return np.asarray((gain > LEAST_GAIN) & (least > LEAST_AREA_UM2))
