"""Shape of labelled parts, all at once, and how much each looks like one nucleus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

LEAST_QUALITY: Final = 0.2
LEAST_AREA_UM2: Final = 12.0
MOST_AREA_UM2: Final = 260.0
_USUAL_AREA_UM2: Final = 45.0
_AREA_SPREAD: Final = 0.9
_ELLIPTIC: Final = (0.92, 0.02)
USUAL_EDGE_OD_PER_UM: Final = 0.1


@dataclass(frozen=True, slots=True)
class Parts:
    """Measures of parts, one value per label; label 0 is a filler.

    ``elliptic`` is the area over that of the ellipse with the same second moments:
    1 for an ellipse, less for what is notched, bent or holed. ``elongation`` is the
    ratio of the axes of that ellipse, 1 or more. ``edge`` is the mean gradient along
    the rim in optical density per µm, 0 where none was asked for.
    """

    y_px: Floats
    x_px: Floats
    area_um2: Floats
    elliptic: Floats
    elongation: Floats
    edge: Floats


def measure_parts(
    labels: NDArray[np.int32],
    n: int,
    mpp: float,
    edge: NDArray[np.float32] | None = None,
) -> Parts:
    """Measure the parts 1 to n of a label image (h, w); places are pixel centres."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    of = flat[inside]
    y, x = np.divmod(inside, labels.shape[1])
    size = np.maximum(np.bincount(of, minlength=n + 1), 1).astype(float)
    y_mean, x_mean = (np.bincount(of, place, n + 1) / size for place in (y, x))
    dy, dx = y - y_mean[of], x - x_mean[of]
    # a pixel is a square, not a point: 1/12 in each direction
    yy = np.bincount(of, dy * dy, n + 1) / size + 1 / 12
    xx = np.bincount(of, dx * dx, n + 1) / size + 1 / 12
    xy = np.bincount(of, dy * dx, n + 1) / size
    spread = np.sqrt(np.maximum(yy * xx - xy * xy, 1e-9))
    middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    sharp = np.zeros(n + 1)
    if edge is not None:
        mask = labels > 0
        rim = mask & ~ndimage.binary_erosion(mask, border_value=1)
        on = labels[rim]
        length = np.maximum(np.bincount(on, minlength=n + 1), 1)
        sharp = np.bincount(on, edge[rim], n + 1) / length
    return Parts(
        y_px=y_mean,
        x_px=x_mean,
        area_um2=size * mpp**2,
        elliptic=size / (4 * np.pi * spread),
        elongation=np.sqrt((middle + half) / np.maximum(middle - half, 1e-9)),
        edge=sharp,
    )


def nuclear_quality(parts: Parts, edge_od_per_um: float) -> Floats:
    """Return how much parts look like one nucleus, in [0, 1]; 0 for label 0.

    A rim of this slope counts half as much as the sharpest.
    """
    middle, width = _ELLIPTIC
    shape = 1 / (1 + np.exp(-(parts.elliptic - middle) / width))
    edge = parts.edge / (parts.edge + edge_od_per_um)
    quality = shape * usual_size(parts) * edge
    quality[0] = 0
    return np.asarray(quality)


def usual_size(parts: Parts) -> Floats:
    """Return how usual areas are for a nucleus, in [0, 1]."""
    away = np.log(np.maximum(parts.area_um2, 1) / _USUAL_AREA_UM2) / _AREA_SPREAD
    fits = (parts.area_um2 >= LEAST_AREA_UM2) & (parts.area_um2 <= MOST_AREA_UM2)
    return np.where(fits, np.exp(-0.5 * away**2), 0.0)
