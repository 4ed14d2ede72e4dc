"""Pen on the cover slip: a broad soft stroke that lies over tissue and glass alike."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_her2.phantom.artefacts import (
    Field,
    Spoiled,
    blurred,
    to_density,
    to_image,
    uneven,
    white_of,
)
from napari_her2.phantom.noise import Floats


class PenColour(StrEnum):
    """Usual pens of a laboratory."""

    BLACK = "black"
    BLUE = "blue"
    GREEN = "green"
    RED = "red"


INKS: dict[PenColour, tuple[float, float, float]] = {
    PenColour.BLACK: (1.35, 1.40, 1.30),
    PenColour.BLUE: (1.30, 0.62, 0.14),
    PenColour.GREEN: (1.10, 0.32, 0.42),
    PenColour.RED: (0.06, 1.05, 0.85),
}
"""Optical densities (red, green, blue) of a full stroke."""

_FOCUS_UM = 12.0
"""The ink lies a cover slip above the focal plane, so its edge is soft."""


@dataclass(frozen=True, slots=True)
class PenMark:
    """A stroke of a pen.

    Parameters
    ----------
    colour
        Of the ink.
    path_um
        Corners (y, x) of the stroke's middle line.
    width_um
        Of the stroke.
    strength
        Share of a full stroke's density, about 0.5 to 1.2.
    seed
        Of the streaks in the ink.
    """

    colour: PenColour
    path_um: tuple[tuple[float, float], ...]
    width_um: float = 300.0
    strength: float = 1.0
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field under the stroke."""
        y, x = field.places_um()
        away = distance_to_path(self.path_um, y, x)
        edge = uneven(self.seed * 64 + 3, field, self.width_um)
        away = away + (0.06 * self.width_um * edge).astype(np.float32)
        inside = np.clip((self.width_um / 2 - away) / _FOCUS_UM + 0.5, 0, 1)
        streaks = uneven(self.seed * 64 + 4, field, self.width_um / 3)
        amount = inside * self.strength * (1 + 0.12 * np.clip(streaks, -2, 2))
        ink = amount[..., None].astype(np.float32) * np.array(
            INKS[self.colour], np.float32
        )
        white = white_of(field.image)
        density = to_density(field.image, white) + blurred(ink, _FOCUS_UM, field.mpp)
        image = to_image(density, white)
        return Spoiled(Field(image, field.mpp, field.stain), inside > 0.5)


def distance_to_path(
    path_um: tuple[tuple[float, float], ...], y_um: Floats, x_um: Floats
) -> Floats:
    """Return the distance in µm of places from a line of straight pieces."""
    nearest = np.full(np.broadcast_shapes(y_um.shape, x_um.shape), np.inf, np.float32)
    for (y0, x0), (y1, x1) in itertools.pairwise(path_um):
        dy, dx = y1 - y0, x1 - x0
        along = ((y_um - y0) * dy + (x_um - x0) * dx) / max(dy * dy + dx * dx, 1e-6)
        along = np.clip(along, 0, 1)
        away = np.hypot(y_um - (y0 + along * dy), x_um - (x0 + along * dx))
        np.minimum(nearest, away, out=nearest)
    return nearest
