"""Where a cell ends: as far as its neighbours and the membranes let it grow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

REACH_UM: Final = 6.0
"""How far a cell may reach beyond its nucleus."""

_RIDGE_UM: Final = 0.6
_CLIMB_UM: Final = 25.0
"""How many µm of cytoplasm a membrane of optical density 1 is worth."""


def grow_cells(nuclei: Labels, dab: Floats, mpp: float) -> Labels:
    """Grow nuclei (h, w) into cells of the same numbers.

    Cells meet half-way between their nuclei, or on the membrane between them: a
    watershed over the distance from the nearest nucleus, on which DAB stands as a
    wall. None grows further than 6 µm.
    """
    away = ndimage.distance_transform_edt(nuclei == 0).astype(np.float32) * mpp
    wall = ndimage.gaussian_filter(dab, _RIDGE_UM / mpp)
    wall -= ndimage.gaussian_filter(dab, 4 * _RIDGE_UM / mpp)
    landscape = away + _CLIMB_UM * np.maximum(wall, 0)
    grown = watershed(landscape, nuclei, mask=away <= REACH_UM)
    return np.asarray(grown, np.int32)
