"""Rims of nuclei, drawn where most of the dye has fallen off.

The best level for telling nuclei apart is often lower than the one at which an edge
lies, most of all where a nucleus stands alone on pale ground.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

LEAST_SHARE: Final = 0.4
"""Of how much more dye a nucleus has than the ground around it; a half would cut into
nuclei whose chromatin lies to one side."""

MOST_UM: Final = 1.0
"""A rim is moved by no more than this; what is pale farther in is chromatin."""

_SMOOTH_UM: Final = 0.4
_CORE_UM: Final = 0.8
_AROUND_UM: Final = 2.5


def draw_rims(labels: Labels, haematoxylin: Floats, mpp: float) -> Labels:
    """Return the nuclei (h, w) without what is as pale as the ground around.

    The ground is the mean of what is no nucleus within a few micrometres. No nucleus
    disappears.
    """
    n = int(labels.max())
    if n == 0:
        return labels
    inside = labels > 0
    depth_um = depth_of(labels, mpp)
    dye = ndimage.gaussian_filter(haematoxylin, _SMOOTH_UM / mpp)
    core = inside & (depth_um > _CORE_UM)
    size = np.bincount(labels[core], minlength=n + 1)
    nuclear = np.bincount(labels[core], dye[core], n + 1) / np.maximum(size, 1)
    ground = ndimage.gaussian_filter((~inside).astype(np.float32), _AROUND_UM / mpp)
    around = ndimage.gaussian_filter(np.where(inside, 0, dye), _AROUND_UM / mpp)
    around = around / np.maximum(ground, 1e-3)
    least = around + LEAST_SHARE * (nuclear[labels] - around)
    pale = inside & (size[labels] > 0) & (depth_um <= MOST_UM) & (dye < least)
    left = np.bincount(labels[inside & ~pale], minlength=n + 1) > 0
    return np.where(pale & left[labels], 0, labels).astype(np.int32)


def depth_of(labels: Labels, mpp: float) -> NDArray[np.float32]:
    """Return how far places inside nuclei (h, w) lie from the rim, in µm.

    A pixel beside a neighbour has 0, one at an open rim at most its own size.
    """
    low = np.where(labels > 0, labels, np.iinfo(np.int32).max)
    inner = ndimage.maximum_filter(labels, 3) == ndimage.minimum_filter(low, 3)
    away = ndimage.distance_transform_edt(inner & (labels > 0)) * mpp
    return np.asarray(away, np.float32)
