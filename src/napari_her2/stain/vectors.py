"""The colours of the two dyes of a slide, and how much of each a pixel holds.

Colour deconvolution after Ruifrok and Johnston (2001). Laboratories and scanners
turn the colours by some degrees, so they are estimated per slide, in the manner of
Macenko et al. (ISBI 2009) from the angles of optical densities, but held to the
published vectors: the fewer pixels speak for a dye, the less it moves. A field
with hardly any DAB keeps the published DAB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain

Floats = NDArray[np.float32]
Vector = tuple[float, float, float]

HAEMATOXYLIN: Final[Vector] = (0.650, 0.704, 0.286)
EOSIN: Final[Vector] = (0.072, 0.990, 0.105)
DAB: Final[Vector] = (0.268, 0.570, 0.776)

_LEAST_DENSITY: Final = 0.2
_LEAST_COUNTERSTAIN: Final = 0.12
_MOST_DENSITY: Final = 1.6
"""Paler pixels are noise, darker ones saturated: neither has a hue. A counterstain
is often pale, and nuclei are many."""

_BLUE_SHARES: Final = (-0.6, 0.5)
_SHARE_STEP: Final = 0.05
_LEAST_PEAK: Final = 0.4
_PEAK_REACH: Final = 0.15

_PRIOR_PX: Final = 200
_MOST_TURN: Final = float(np.cos(np.deg2rad(16)))


@dataclass(frozen=True, slots=True)
class StainVectors:
    """Optical density (R, G, B) per unit of each dye, of length 1.

    ``second`` is eosin or DAB. ``haematoxylin_px`` and ``second_px`` are the sampled
    pixels that spoke for each; 0 means the published vector.
    """

    haematoxylin: Vector
    second: Vector
    haematoxylin_px: int = 0
    second_px: int = 0

    @classmethod
    def published(cls, stain: Stain) -> StainVectors:
        """Return the vectors of Ruifrok and Johnston."""
        return cls(HAEMATOXYLIN, EOSIN if stain is Stain.HE else DAB)


def fit_vectors(density: Floats, stain: Stain) -> StainVectors:
    """Estimate the vectors of a slide from sampled optical densities (n, 3)."""
    prior = StainVectors.published(stain)
    strongest = density.max(1)
    kept = (strongest > _LEAST_COUNTERSTAIN) & (strongest < _MOST_DENSITY)
    density, strongest = density[kept], strongest[kept]
    if not len(density):
        return prior
    hue = density / np.linalg.norm(density, axis=1, keepdims=True)
    blue, second = (np.array(v) / np.linalg.norm(v) for v in _pair(prior))
    across = second - (second @ blue) * blue
    across /= np.linalg.norm(across)
    whole = np.arctan2(second @ across, second @ blue)
    share = np.arctan2(hue @ across, hue @ blue) / whole
    near_blue = hue[np.abs(share - _bluest_peak(share)) < _PEAK_REACH]
    near_second = hue[(share > 0.85) & (share < 1.5) & (strongest > _LEAST_DENSITY)]
    return StainVectors(
        _towards(blue, near_blue),
        _towards(second, near_second),
        len(near_blue),
        len(near_second),
    )


def unmix(density: Floats, vectors: StainVectors) -> tuple[Floats, Floats]:
    """Return the amounts of haematoxylin and of the second dye, each (h, w).

    What lies at right angles to both is left out; amounts may be slightly negative.
    """
    pair = np.array(_pair(vectors))
    weights = np.linalg.pinv(pair).astype(np.float32)
    amounts = density @ weights
    return amounts[..., 0], amounts[..., 1]


def _bluest_peak(share: NDArray[np.float64]) -> float:
    """Return the hue of haematoxylin: the first peak of the hues on its side.

    Hues are shares of the way from haematoxylin to the second dye, as published.
    Mixtures of both lie beyond the peak and must not draw it towards them. NaN
    where no pixel is that blue.
    """
    low, high = _BLUE_SHARES
    count, edges = np.histogram(share, np.arange(low, high + 1e-9, _SHARE_STEP))
    count = np.convolve(count, [0.25, 0.5, 0.25], "same")
    beside = np.pad(count, 1)
    is_peak = (count >= beside[:-2]) & (count >= beside[2:])
    peaks = np.flatnonzero(is_peak & (count > _LEAST_PEAK * count.max()))
    return float(edges[peaks[0]] + _SHARE_STEP / 2) if len(peaks) else float("nan")


def _pair(vectors: StainVectors) -> tuple[Vector, Vector]:
    return vectors.haematoxylin, vectors.second


def _towards(prior: NDArray[np.float64], seen: Floats) -> Vector:
    """Move a vector towards the hues seen, by how many they are; 16° at most."""
    total = _PRIOR_PX * prior
    if len(seen):
        total = total + len(seen) * np.median(seen, 0)
    found = total / np.linalg.norm(total)
    if (cosine := float(found @ prior)) < _MOST_TURN:
        away = found - cosine * prior
        away /= np.linalg.norm(away)
        found = _MOST_TURN * prior + np.sqrt(1 - _MOST_TURN**2) * away
    r, g, b = (round(float(part), 4) for part in found)
    return r, g, b
