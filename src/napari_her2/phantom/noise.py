"""Seeded randomness as a function of position: hashes, smooth noise, textures.

Everything here gives the same value at the same place whoever asks, which is
what lets any tile of a virtual slide be rendered alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""Single precision where pixels are painted, double where places are found."""

Ints = NDArray[np.int64]

_GOLDEN = 0x9E3779B9
_MASK = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
TEXTURE_PX = 1024
"""Side of the periodic textures; a power of two, so that wrapping is a mask."""


def _mix(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Scramble 32-bit words (the ``lowbias32`` finaliser of C. Wellons)."""
    h = h ^ (h >> np.uint32(16))
    h = h * np.uint32(0x7FEB352D)
    h = h ^ (h >> np.uint32(15))
    h = h * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def _word(seed: int) -> np.uint32:
    """Scramble a seed (splitmix64), so that the next seed is no shifted copy."""
    z = (seed + 1) * 0x9E3779B97F4A7C15 & _MASK64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK64
    return np.uint32((z ^ z >> 31) & _MASK)


def hash_cells(seed: int, iy: Ints, ix: Ints) -> NDArray[np.uint32]:
    """Hash lattice cells; the integer arrays broadcast against each other."""
    first = _mix(np.atleast_1d(iy).astype(np.uint32) ^ _word(seed))
    second = _mix(np.atleast_1d(ix).astype(np.uint32) ^ np.uint32(_GOLDEN))
    return _mix(first * np.uint32(3) ^ second)


def uniforms(seed: int, iy: Ints, ix: Ints, count: int) -> Floats:
    """Draw ``count`` numbers in [0, 1) per lattice cell, shape (count, ...)."""
    base = hash_cells(seed, iy, ix)
    salts = [(k * _GOLDEN + 1) & _MASK for k in range(count)]
    words = np.stack([_mix(base ^ np.uint32(salt)) for salt in salts])
    return words * 2.0**-32


def gradient_noise(seed: int, y: Floats, x: Floats) -> Floats:
    """Perlin noise of unit wavelength, about unit variance, for any points.

    Source: Perlin, Improving noise (2002), with gradients of free direction.
    """
    iy, ix = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    fy, fx = y - iy, x - ix
    wy = fy * fy * fy * (fy * (fy * 6 - 15) + 10)
    wx = fx * fx * fx * (fx * (fx * 6 - 15) + 10)

    def corner(dy: int, dx: int) -> Floats:
        angle = hash_cells(seed, iy + dy, ix + dx) * (2 * np.pi * 2.0**-32)
        result: Floats = np.sin(angle) * (fy - dy) + np.cos(angle) * (fx - dx)
        return result

    top = corner(0, 0) * (1 - wx) + corner(0, 1) * wx
    bottom = corner(1, 0) * (1 - wx) + corner(1, 1) * wx
    result: Floats = (top * (1 - wy) + bottom * wy) * 4.65
    return result


def fractal_noise(
    seed: int,
    y_um: Floats,
    x_um: Floats,
    wavelength_um: float,
    octaves: int = 3,
    gain: float = 0.5,
) -> Floats:
    """Sum octaves of turned gradient noise, scaled to about unit variance."""
    total = np.zeros(np.broadcast_shapes(y_um.shape, x_um.shape))
    power = 0.0
    for octave in range(octaves):
        # turned and shifted, so that lattice axes of octaves never line up
        angle = 0.6 + 1.1 * octave + (seed % 97) / 97.0
        scale = 2.0**octave / wavelength_um
        v = (np.cos(angle) * y_um - np.sin(angle) * x_um) * scale + 17.3 * octave
        u = (np.sin(angle) * y_um + np.cos(angle) * x_um) * scale + 5.7
        weight = gain**octave
        total += weight * gradient_noise(seed + 7919 * octave, v, u)
        power += weight * weight
    result: Floats = total / np.sqrt(power)
    return result


@cache
def smooth_texture(feature_texels: float, index: int = 0) -> Floats:
    """Return periodic band-limited noise of unit variance, flattened.

    Shape (TEXTURE_PX**2,); ``feature_texels`` is the Gaussian radius of its
    grain, large enough that a lookup needs no interpolation.
    """
    rng = np.random.default_rng(1000 * index + round(10 * feature_texels))
    white = rng.standard_normal((TEXTURE_PX, TEXTURE_PX))
    wave_y = np.fft.fftfreq(TEXTURE_PX)[:, None]
    wave_x = np.fft.rfftfreq(TEXTURE_PX)[None, :]
    keep = np.exp(-2 * (np.pi * feature_texels) ** 2 * (wave_y**2 + wave_x**2))
    field = np.fft.irfft2(np.fft.rfft2(white) * keep)
    flat: Floats = ((field - field.mean()) / field.std()).astype(np.float32).ravel()
    return flat


def look_up(texture: Floats, y_texel: Floats, x_texel: Floats) -> Floats:
    """Read a periodic texture at the texel that holds each point."""
    row = np.floor(y_texel).astype(np.int32) & (TEXTURE_PX - 1)
    col = np.floor(x_texel).astype(np.int32) & (TEXTURE_PX - 1)
    row *= TEXTURE_PX
    row += col
    return texture.take(row)


def sensor_noise(seed: int, y0: int, x0: int, shape: tuple[int, int]) -> Floats:
    """Draw nearly Gaussian noise of unit variance for pixels of three channels.

    Shape (h, w, 3); a pixel's noise depends on its slide position alone.
    """
    rows = np.arange(y0, y0 + shape[0])[:, None]
    cols = np.arange(x0, x0 + shape[1])[None, :]
    out = np.empty((*shape, 3), np.float32)
    for channel in range(3):
        word = hash_cells(seed + 101 * channel, rows, cols)
        total = (word & np.uint32(0x3FF)).astype(np.float32)
        total += (word >> np.uint32(10)) & np.uint32(0x3FF)
        total += (word >> np.uint32(20)) & np.uint32(0x3FF)
        # three uniforms on 0..1023: mean 1534.5, standard deviation 511.5
        out[..., channel] = (total - np.float32(1534.5)) * np.float32(1 / 511.5)
    return out
