"""Draw a varied artefact of a kind for a field: what benchmarks and tests spoil with.

Every draw depends on the seed and the field alone. Artefacts that need tissue, or
nuclei, are put where there are some, as nobody could find them elsewhere.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.phantom.artefacts import (
    Artefact,
    Field,
    dyes_of,
    tissue_of,
    to_density,
    white_of,
)
from napari_her2.phantom.artefacts_ink import PenColour, PenMark
from napari_her2.phantom.artefacts_layers import (
    Bubble,
    Droplets,
    FocusLoss,
    Fold,
    Smudge,
)
from napari_her2.phantom.artefacts_tissue import Crush, EdgeEffect, StainingOff
from napari_her2.phantom.noise import Floats


class ArtefactKind(StrEnum):
    """Kinds that can be drawn."""

    PEN = "pen"
    FOLD = "fold"
    BUBBLE = "bubble"
    DROPLETS = "droplets"
    SMUDGE = "smudge"
    FOCUS_PATCH = "focus patch"
    FOCUS_FIELD = "focus field"
    CRUSH = "crush"
    EDGE = "edge"
    WEAK = "weak"
    STRONG = "strong"


_WEAK = {Stain.HE: (0.05, 0.11), Stain.IHC: (0.025, 0.06)}
_STRONG = {Stain.HE: (1.1, 1.5), Stain.IHC: (0.55, 0.9)}
"""Densities of red light that nuclei are brought to: hardly to be seen, and black."""


def draw_artefact(kind: ArtefactKind, seed: int, field: Field) -> Artefact:
    """Draw an artefact for a field of at least half a millimetre a side."""
    rng = np.random.default_rng([seed, list(ArtefactKind).index(kind)])
    side = min(field.size_um)
    match kind:
        case ArtefactKind.PEN:
            return PenMark(
                colour=list(PenColour)[seed % 4],
                path_um=_path(rng, _anywhere(rng, field), side * rng.uniform(0.5, 1)),
                width_um=float(rng.uniform(0.1, 0.25) * side),
                strength=float(rng.uniform(0.6, 1.2)),
                seed=seed,
            )
        case ArtefactKind.FOLD:
            return Fold(
                path_um=_path(rng, _on_tissue(rng, field, 60), rng.uniform(300, 800)),
                width_um=float(rng.uniform(28, 90)),
                layers=int(rng.integers(1, 3)),
                seed=seed,
            )
        case ArtefactKind.BUBBLE:
            return Bubble(
                centre_um=_anywhere(rng, field),
                diameter_um=float(rng.uniform(0.2, 0.6) * side),
                roundness=float(rng.uniform(0.82, 1)),
                rim_um=float(rng.uniform(9, 20)),
                rim_density=float(rng.uniform(0.5, 1.0)),
                blur_um=float(rng.uniform(1.5, 4)),
                seed=seed,
            )
        case ArtefactKind.DROPLETS:
            return Droplets(
                centre_um=_anywhere(rng, field),
                spread_um=float(rng.uniform(120, 260)),
                diameter_um=float(rng.uniform(28, 60)),
                count=int(rng.integers(18, 45)),
                rim_density=float(rng.uniform(0.4, 0.8)),
                seed=seed,
            )
        case ArtefactKind.SMUDGE:
            return Smudge(
                centre_um=_on_tissue(rng, field, 20),
                diameter_um=float(rng.uniform(100, 260)),
                density=float(rng.uniform(0.28, 0.6)),
                seed=seed,
            )
        case ArtefactKind.FOCUS_PATCH:
            return FocusLoss(
                blur_um=float(rng.uniform(3, 6)),
                centre_um=_on_tissue(rng, field, 150),
                diameter_um=float(rng.uniform(350, 700)),
            )
        case ArtefactKind.FOCUS_FIELD:
            return FocusLoss(blur_um=float(rng.uniform(2.5, 6)))
        case ArtefactKind.CRUSH:
            return Crush(
                centre_um=_on_nuclei(rng, field),
                diameter_um=float(rng.uniform(220, 450)),
                smear_um=float(rng.uniform(35, 70)),
                direction_rad=float(rng.uniform(0, math.pi)),
                seed=seed,
            )
        case ArtefactKind.EDGE:
            return EdgeEffect(
                gain=float(rng.uniform(2.0, 3.0)),
                depth_um=float(rng.uniform(50, 120)),
                haze=float(rng.uniform(0.1, 0.25)),
            )
        case ArtefactKind.WEAK:
            gain = rng.uniform(*_WEAK[field.stain]) / _nuclei(field)
            return StainingOff(haematoxylin=gain, second=gain)
        case ArtefactKind.STRONG:
            if field.stain is Stain.IHC and seed % 2:
                return StainingOff(background=float(rng.uniform(0.18, 0.35)))
            gain = rng.uniform(*_STRONG[field.stain]) / _nuclei(field)
            return StainingOff(haematoxylin=gain, second=gain)


def _anywhere(rng: np.random.Generator, field: Field) -> tuple[float, float]:
    height, width = field.size_um
    y, x = rng.uniform(0.2, 0.8, 2) * (height, width)
    return float(y), float(x)


def _path(
    rng: np.random.Generator, centre: tuple[float, float], length_um: float
) -> tuple[tuple[float, float], ...]:
    """Return a gently bent line of four pieces through a place."""
    turn, bend = rng.uniform(0, math.pi), rng.uniform(-0.5, 0.5)
    points = []
    for along in np.linspace(-0.5, 0.5, 5):
        aside = bend * (along**2 - 0.08)
        points.append(
            (
                float(
                    centre[0]
                    + length_um * (along * math.sin(turn) + aside * math.cos(turn))
                ),
                float(
                    centre[1]
                    + length_um * (along * math.cos(turn) - aside * math.sin(turn))
                ),
            )
        )
    return tuple(points)


def _on_tissue(
    rng: np.random.Generator, field: Field, around_um: float
) -> tuple[float, float]:
    density = to_density(field.image, white_of(field.image))
    return _crowded(rng, field, tissue_of(density).astype(np.float32), around_um)


def _on_nuclei(rng: np.random.Generator, field: Field) -> tuple[float, float]:
    density = to_density(field.image, white_of(field.image))
    inverse = np.linalg.pinv(dyes_of(field.stain)).astype(np.float32)
    amount = (density @ inverse)[..., 0]
    return _crowded(rng, field, np.maximum(amount, 0), 120)


def _nuclei(field: Field) -> float:
    """Return how dark nuclei are: a high percentile of red density over tissue."""
    density = to_density(field.image, white_of(field.image))[::2, ::2]
    return max(float(np.percentile(density[tissue_of(density)][:, 0], 95)), 0.02)


def _crowded(
    rng: np.random.Generator, field: Field, amount: Floats, around_um: float
) -> tuple[float, float]:
    """Draw a place among the tenth of the field that holds most around it."""
    step = max(1, round(16 / field.mpp))
    coarse = ndimage.gaussian_filter(amount[::step, ::step], around_um / 16)
    rim = max(1, round(0.12 * min(coarse.shape)))
    inner = np.zeros_like(coarse)
    inner[rim:-rim, rim:-rim] = coarse[rim:-rim, rim:-rim]
    best = np.flatnonzero(inner >= np.quantile(inner, 0.9))
    row, col = np.unravel_index(int(rng.choice(best)), coarse.shape)
    return float(row * step * field.mpp), float(col * step * field.mpp)
