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


def drop_long(mask: Mask, longest: float) -> Mask:
    """Return the objects (8 neighbours) whose length is at most so many widths.

    Length and width are those of the ellipse of the same second moments.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    keep = np.zeros(count + 1, bool)
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        places = np.argwhere(labels[box] == index)
        # a pixel has an extent of its own
        spread = np.cov(places.T, bias=True) + np.eye(2) / 12
        short, long = np.linalg.eigvalsh(spread)
        keep[index] = long <= longest**2 * short
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
