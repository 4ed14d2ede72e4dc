"""Small questions about shapes in a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def drop_small(mask: Mask, least_px: int) -> Mask:
    """Return the objects of at least so many pixels (8 neighbours)."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= least_px
    keep[0] = False
    return np.asarray(keep[labels], bool)


def grown(mask: Mask, by_px: int) -> Mask:
    """Return what lies within a distance of a mask."""
    if not mask.any() or by_px < 1:
        return mask
    away = ndimage.distance_transform_edt(~mask)
    return np.asarray(away <= by_px, bool)


def solid(mask: Mask, gap_px: int) -> Mask:
    """Return a mask with gaps and holes of up to about ``gap_px`` closed."""
    padded = np.pad(mask, gap_px + 1)
    near = ndimage.distance_transform_edt(~padded) <= gap_px
    closed = ndimage.distance_transform_edt(near) > gap_px
    rim = gap_px + 1
    return np.asarray((closed | padded)[rim:-rim, rim:-rim], bool)
