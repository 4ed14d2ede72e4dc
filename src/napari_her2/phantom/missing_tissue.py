"""Take part of the tissue off a rendered section, as when a piece floats away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_PIECE_UM = 260.0
_DENSITY = 0.12


def without_tissue(
    image: NDArray[np.uint8], mpp: float, share: float, seed: int
) -> NDArray[np.uint8]:
    """Return a section with some of its tissue gone, glass in its place.

    Parameters
    ----------
    image
        (h, w, 3), a whole section.
    mpp
        µm per pixel.
    share
        Share of the tissue to take away, in [0, 1).
    seed
        Which pieces go.
    """
    rng = np.random.default_rng([seed, 21])
    height, width = image.shape[:2]
    noise = ndimage.gaussian_filter(
        rng.standard_normal((height, width)).astype(np.float32), _PIECE_UM / mpp
    )
    noise /= noise.std()
    # mostly from one side, as a section tears
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    noise += (1.2 * (np.sin(angle) * y + np.cos(angle) * x)).astype(np.float32)
    bright = image.min(-1) > 200
    glass = np.median(image[bright], 0) if bright.any() else np.full(3, 240.0)
    density = -np.log10(np.maximum(image, 1) / glass).sum(-1)
    tissue = density > _DENSITY
    if not tissue.any():
        return image.copy()
    gone = noise > np.quantile(noise[tissue], 1 - share)
    out = image.copy()
    grain = rng.normal(0, 1.2, (int(gone.sum()), 3))
    out[gone] = np.clip(np.rint(glass + grain), 0, 255).astype(np.uint8)
    return out
