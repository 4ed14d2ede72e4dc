"""How much haematoxylin and second dye there is, with vectors fixed for all slides.

Vectors of Ruifrok and Johnston (2001), of unit length. Two dyes and three channels:
the least-squares split, so that a hue between slides moves amounts only a little.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain

_HAEMATOXYLIN: Final = (0.65, 0.70, 0.29)
_SECOND: Final = {Stain.HE: (0.07, 0.99, 0.11), Stain.IHC: (0.27, 0.57, 0.78)}

Floats = NDArray[np.float32]


def amounts(density: Floats, stain: Stain) -> tuple[Floats, Floats]:
    """Split optical densities (3, h, w) into haematoxylin and eosin or DAB (h, w)."""
    vectors = np.array([_HAEMATOXYLIN, _SECOND[stain]], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    inverse = np.linalg.pinv(vectors).astype(np.float32)
    first, second = np.tensordot(inverse.T, density, 1)
    return np.maximum(first, 0), np.maximum(second, 0)
