"""PSNR and SSIM by the convention of the BCI paper.

scikit-image on uint8, 7 x 7 uniform window, data range 255, mean over colours,
then a plain mean over images. Both barely follow what experts see on this task
and a flat mean colour beats published models on them: they are printed, they
decide nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Image = NDArray[np.uint8]

EQUAL_DB = 100.0
"""PSNR of two equal images, which has no finite value, in means."""


def psnr(real: Image, fake: Image) -> float:
    """Return the peak signal-to-noise ratio of two uint8 images in dB.

    Examples
    --------
    >>> flat = np.full((8, 8, 3), 100, np.uint8)
    >>> round(psnr(flat, flat + np.uint8(10)), 4)
    28.1308
    """
    error = float(np.mean((real.astype(np.float64) - fake.astype(np.float64)) ** 2))
    if error == 0:
        return EQUAL_DB
    return 10 * math.log10(255**2 / error)


def ssim(real: Image, fake: Image) -> float:
    """Return the structural similarity of two uint8 images (h, w, 3), sides >= 7."""
    value: Any = structural_similarity(
        real, fake, channel_axis=2, data_range=255, win_size=7, gaussian_weights=False
    )
    return float(value)
