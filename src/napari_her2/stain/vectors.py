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
_MOST_DENSITY: Final = 1.6
"""Paler pixels are noise, darker ones saturated: neither has a hue."""

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
    kept = density[(strongest > _LEAST_DENSITY) & (strongest < _MOST_DENSITY)]
    if not len(kept):
        return prior
    hue = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    blue, second = (np.array(v) / np.linalg.norm(v) for v in _pair(prior))
    across = second - (second @ blue) * blue
    across /= np.linalg.norm(across)
    whole = np.arctan2(second @ across, second @ blue)
    share = np.arctan2(hue @ across, hue @ blue) / whole
    near_blue = hue[(share > -0.6) & (share < 0.3)]
    near_second = hue[(share > 0.85) & (share < 1.5)]
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
