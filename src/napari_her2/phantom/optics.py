"""From dyes to the grey values of a slide scanner."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx
from napari_her2.phantom.noise import Floats, sensor_noise
from napari_her2.phantom.parameters import Staining

_STRIP_PX = 2048
_PASS_VARIANCE = 0.5


def blur_passes(staining: Staining, mpp: float) -> int:
    """How many three-tap passes blur and sharpening take; also their halo in px."""
    widest = (staining.blur_um**2 + staining.defocus_um**2) / mpp**2
    return max(1, math.ceil(widest / _PASS_VARIANCE)) + 1


def transmit(staining: Staining, h: Floats, second: Floats) -> Floats:
    """Apply the law of Beer and Lambert; returns light in grey values (h, w, 3)."""
    out = np.empty((*h.shape, 3), np.float32)
    for channel in range(3):
        density = h * np.float32(staining.haematoxylin[channel])
        density += second * np.float32(staining.second[channel])
        density += np.float32(staining.background_od)
        density *= np.float32(-math.log(10))
        np.exp(density, out=density)
        out[..., channel] = density * np.float32(staining.white[channel])
    return out


def blur(light: Floats, staining: Staining, mpp: float, focus: Floats) -> Floats:
    """Blur by optics and defocus, then sharpen; loses a pixel per pass and side.

    ``focus`` (h, w) is the defocus of each pixel relative to the recipe's.
    """
    passes = blur_passes(staining, mpp) - 1
    variance = np.minimum(focus * focus, 1) * np.float32(
        (staining.defocus_um / mpp) ** 2
    )
    variance += np.float32((staining.blur_um / mpp) ** 2)
    side = (variance * np.float32(0.5 / passes))[..., None]
    for step in range(passes):
        rim = side[step : -step or None, step : -step or None]
        light = _three_taps(light, rim[1:-1], rim[1:-1, 1:-1])
    k = np.float32(-0.5 * staining.sharpening)
    return _three_taps(light, k, k)


def _three_taps(
    light: Floats, down: Floats | np.float32, along: Floats | np.float32
) -> Floats:
    """Mix each pixel with its neighbours down and along; a negative share sharpens."""
    light = light[1:-1] + down * (light[:-2] + light[2:] - 2 * light[1:-1])
    return light[:, 1:-1] + along * (light[:, :-2] + light[:, 2:] - 2 * light[:, 1:-1])


def record(
    light: Floats, staining: Staining, seed: int, box: BoxPx
) -> NDArray[np.uint8]:
    """Add illumination of the scan strips and sensor noise, round to 8 bits."""
    across = (np.arange(box.x0, box.x1) % _STRIP_PX) / _STRIP_PX * 2 - 1
    shade = 1 - staining.vignetting * across**2
    # sharpening may undershoot beside a dark edge
    light = np.maximum(light, 0) * shade.astype(np.float32)[None, :, None]
    noise = sensor_noise(seed, box.y0, box.x0, box.shape)
    # shot noise grows with the root of the light
    noise *= np.sqrt(light * np.float32(1 / 255)) * np.float32(staining.noise_grey)
    light += noise
    light += np.float32(0.5)
    return np.clip(light, 0, 255).astype(np.uint8)
