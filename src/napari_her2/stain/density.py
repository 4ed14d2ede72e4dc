"""How much light tissue takes away, whatever the colour of the glass.

Optical density is base 10 and relative to the light that came through empty glass,
which is grey, pink or yellow on some scanners and cameras (Beer-Lambert).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

_DARKEST_WHITE: Final = 120.0
"""Glass that lets less light through than this is no glass."""

_BRIGHTEST_SHARE: Final = 0.01
_TINT: Final = 0.12
"""Most that a channel of glass may lie below its brightest channel."""


def white_of(image: Image) -> Floats:
    """Estimate the colour of empty glass from an image (h, w, 3), shape (3,).

    The median of the brightest hundredth of the pixels. Where no glass is in view
    those are the palest tissue, so that the estimate is bounded: no darker than 120
    and no more tinted than glass is. Pure white is left out where there is anything
    else as bright: it is what scanners fill in beside the scanned area.
    """
    flat = image.reshape(-1, 3)
    filled = (flat == 255).all(1)
    if filled.any() and np.count_nonzero(~filled) > 0.05 * len(flat):
        flat = flat[~filled]
    light = flat.astype(np.float32).sum(1)
    brightest = flat[light >= np.quantile(light, 1 - _BRIGHTEST_SHARE)]
    white = np.median(brightest, 0).astype(np.float32)
    white = np.maximum(white, (1 - _TINT) * white.max())
    found: Floats = np.clip(white, _DARKEST_WHITE, 255.0).astype(np.float32)
    return found


def optical_density(image: Image, white: Floats) -> Floats:
    """Return the optical density (h, w, 3) of an image, never below zero.

    Examples
    --------
    >>> grey = np.full((1, 1, 3), 24, np.uint8)
    >>> optical_density(grey, np.full(3, 240, np.float32)).round(2).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    table = np.log10(white)[:, None] - np.log10(np.maximum(np.arange(256), 1.0))
    table = np.maximum(table, 0).astype(np.float32)
    return np.stack([table[c][image[..., c]] for c in range(3)], -1)
