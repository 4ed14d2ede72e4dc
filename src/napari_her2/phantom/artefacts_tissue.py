"""What happened to the tissue itself: crush, edge effect, staining off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_her2.phantom.artefacts import (
    Field,
    Spoiled,
    dyes_of,
    tissue_of,
    to_density,
    to_image,
    uneven,
    white_of,
)
from napari_her2.phantom.noise import Floats

_SMEAR_STEPS = 15
_STREAKS = 4.0
"""Power of the mean along a streak: 1 is a blur, more keeps the darkest."""


@dataclass(frozen=True, slots=True)
class Crush:
    """Tissue squeezed by forceps: nuclei smeared into streaks.

    Parameters
    ----------
    centre_um
        (y, x).
    diameter_um
        Of the crushed patch.
    smear_um
        Length of the streaks.
    direction_rad
        Direction of the streaks, from the x axis.
    seed
        Of their waviness.
    """

    centre_um: tuple[float, float]
    diameter_um: float = 350.0
    smear_um: float = 45.0
    direction_rad: float = 0.5
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with the patch crushed; the mask is where nuclei are."""
        y, x = field.places_um()
        away = np.hypot(y - self.centre_um[0], x - self.centre_um[1])
        soft = 0.08 * self.diameter_um
        amount = np.clip((self.diameter_um / 2 - away) / soft + 0.5, 0, 1)
        white = white_of(field.image)
        density = to_density(field.image, white)
        turn = self.direction_rad + 0.25 * uneven(self.seed * 64 + 9, field, 150)
        part = np.ix_(*(np.flatnonzero(amount.any(axis)) for axis in (1, 0)))
        rows, cols = (i[part] for i in np.indices(amount.shape, np.float32))
        turn = turn[part]
        drawn = np.zeros((*rows.shape, 3), np.float32)
        for step in np.linspace(-0.5, 0.5, _SMEAR_STEPS):
            by_px = step * self.smear_um / field.mpp
            where = (rows + by_px * np.sin(turn), cols + by_px * np.cos(turn))
            for channel in range(3):
                drawn_out = ndimage.map_coordinates(
                    density[..., channel], where, order=1, mode="nearest"
                )
                drawn[..., channel] += np.maximum(drawn_out, 0) ** _STREAKS
        # a nucleus that is drawn out stays nearly as dark as it was
        smeared = density.copy()
        smeared[part] = 1.1 * (drawn / _SMEAR_STEPS) ** (1 / _STREAKS)
        mixed = density + amount[..., None].astype(np.float32) * (smeared - density)
        nuclei = _amounts(smeared, field)[0]
        level = 0.5 * float(np.percentile(_amounts(density, field)[0], 98))
        is_streaked = ndimage.gaussian_filter(nuclei, 12 / field.mpp) > level / 2
        image = to_image(mixed, white)
        return Spoiled(
            Field(image, field.mpp, field.stain), (amount > 0.5) & is_streaked
        )


@dataclass(frozen=True, slots=True)
class EdgeEffect:
    """The rim of the tissue dried or soaked: it took up more of the second dye.

    ``gain`` is how many times as much at the very edge, ``depth_um`` the distance
    over which that falls to a third, and ``haze`` a density added there anyway.
    """

    gain: float = 2.2
    depth_um: float = 90.0
    haze: float = 0.12

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with a darker rim."""
        white = white_of(field.image)
        density = to_density(field.image, white)
        solid = ndimage.binary_closing(
            np.pad(tissue_of(density), 1), iterations=max(1, round(20 / field.mpp))
        )[1:-1, 1:-1]
        solid = ndimage.binary_fill_holes(solid)
        # tissue that leaves the field has no edge there
        padded = np.pad(solid, 1, mode="edge")
        depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * field.mpp
        near = np.where(solid, np.exp(-depth / self.depth_um), 0).astype(np.float32)
        second = np.maximum(_amounts(density, field)[1], 0)
        more = (second * (self.gain - 1) + self.haze) * near * tissue_of(density)
        density = density + more[..., None] * dyes_of(field.stain)[1]
        image = to_image(density, white)
        return Spoiled(Field(image, field.mpp, field.stain), near > np.exp(-1.0))


@dataclass(frozen=True, slots=True)
class StainingOff:
    """Too little or too much dye on the whole field.

    ``haematoxylin`` and ``second`` are how many times the usual amount there is,
    ``background`` a density of the second dye that lies on all tissue.
    """

    haematoxylin: float = 1.0
    second: float = 1.0
    background: float = 0.0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with other amounts of dye; the mask is the tissue."""
        white = white_of(field.image)
        density = to_density(field.image, white)
        first, second = _amounts(density, field)
        vectors = dyes_of(field.stain)
        mask = tissue_of(density)
        # what the two vectors leave over belongs to both dyes
        evenly = (self.haematoxylin + self.second) / 2
        gains = (self.haematoxylin - evenly, self.second - evenly)
        density = density * np.float32(evenly)
        for amount, vector, gain in zip((first, second), vectors, gains, strict=True):
            density = density + (gain * np.maximum(amount, 0))[..., None] * vector
        density = density + self.background * mask[..., None] * vectors[1]
        image = to_image(density, white)
        return Spoiled(Field(image, field.mpp, field.stain), mask)


def _amounts(density: Floats, field: Field) -> tuple[Floats, Floats]:
    """Split densities (h, w, 3) into haematoxylin and the second dye."""
    inverse = np.linalg.pinv(dyes_of(field.stain)).astype(np.float32)
    both = density @ inverse
    return both[..., 0], both[..., 1]
