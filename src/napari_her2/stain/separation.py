"""Separate the dyes of an image: haematoxylin, eosin and DAB.

Colour deconvolution after Ruifrok and Johnston (2001) with their vectors, as in
scikit-image. Where three dyes are assumed and two are there, what is left over
goes into the third: brown and blue alone leave next to no eosin, but eosin always
leaves some DAB. So it is the share of DAB in what is not haematoxylin that tells
IHC from H&E.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2hed

from napari_her2.core.score import Stain

LEAST_IHC_SHARE: Final = 0.85
MOST_HE_SHARE: Final = 0.80
"""Limits of :func:`dab_share`: real H&E of six tissues lies at or below 0.74 and
real IHC of five antibodies at or above 0.99; virtual tissue at 0.6 and 0.9."""

_LEAST_DENSITY: Final = 0.15
_MOST_DENSITY: Final = 4.0
_LEAST_TISSUE_PX: Final = 500


def tissue_of(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels of an RGB image (h, w, 3) are stained, neither glass nor ink.

    The optical density, summed over the channels, lies between 0.15 and 4.
    """
    density = -np.log10(np.maximum(image, 1) / 255).sum(-1)
    return np.asarray((density > _LEAST_DENSITY) & (density < _MOST_DENSITY))


def dab_share(image: NDArray[np.uint8]) -> float:
    """Return DAB / (DAB + eosin) over the tissue of an image (h, w, 3), in [0, 1].

    NaN where there is too little tissue (500 pixels) to say.
    """
    tissue = tissue_of(image)
    if np.count_nonzero(tissue) < _LEAST_TISSUE_PX:
        return float("nan")
    _, eosin, dab = np.clip(rgb2hed(image[tissue]), 0, None).sum(0)
    return float(dab / max(dab + eosin, 1e-9))


def stain_by_colour(share: float) -> Stain | None:
    """Return the stain that a :func:`dab_share` speaks for, None between or NaN."""
    if share >= LEAST_IHC_SHARE:
        return Stain.IHC
    return Stain.HE if share <= MOST_HE_SHARE else None
