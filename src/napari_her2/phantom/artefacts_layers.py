"""What lies over or in the section: folds, bubbles, droplets, dirt out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.phantom.artefacts import (
    Field,
    Spoiled,
    blurred,
    tissue_of,
    to_density,
    to_image,
    uneven,
    white_of,
)
from napari_her2.phantom.artefacts_ink import distance_to_path
from napari_her2.phantom.noise import Floats


@dataclass(frozen=True, slots=True)
class Fold:
    """A crease where the section lies upon itself.

    Parameters
    ----------
    path_um
        Corners (y, x) of its middle line.
    width_um
        Of the doubled band.
    layers
        Layers beyond the first, 1 or 2: a crease has two where it turns back.
    seed
        Of its wavy edge.
    """

    path_um: tuple[tuple[float, float], ...]
    width_um: float = 50.0
    layers: int = 1
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with the tissue beside the line laid double."""
        y, x = field.places_um()
        wave = 0.35 * self.width_um * uneven(self.seed * 64 + 5, field, 160.0)
        away = distance_to_path(self.path_um, y, x)
        wide = np.float32(self.width_um / 2) * (1 + 0.15 * wave / self.width_um)
        inside = np.clip((wide - away + 0.15 * wave) / 3.0 + 0.5, 0, 1)
        white = white_of(field.image)
        density = to_density(field.image, white)
        (y0, x0), (y1, x1) = self.path_um[0], self.path_um[-1]
        length = max(np.hypot(y1 - y0, x1 - x0), 1.0)
        normal = np.array((-(x1 - x0), y1 - y0)) / length
        extra = np.zeros_like(density)
        for layer in range(1, self.layers + 1):
            by_px = normal * self.width_um * layer / field.mpp
            extra += ndimage.shift(density, (*by_px, 0), order=1, mode="nearest")
        # the upper layer lies out of the focal plane
        extra = blurred(np.maximum(extra, 0), 2.0, field.mpp)
        density = density + inside[..., None].astype(np.float32) * extra
        is_doubled = (inside > 0.5) & tissue_of(extra)
        image = to_image(density, white)
        return Spoiled(Field(image, field.mpp, field.stain), is_doubled)


@dataclass(frozen=True, slots=True)
class Bubble:
    """Air under the cover slip: a dark rim, and blurred tissue within.

    Parameters
    ----------
    centre_um
        (y, x).
    diameter_um
        Along the longer axis.
    roundness
        Shorter over longer axis.
    rim_um
        Width of the dark rim.
    rim_density
        Optical density of the rim, equal in all colours.
    blur_um
        Gaussian radius by which the tissue within is out of focus.
    seed
        Of its uneven outline.
    """

    centre_um: tuple[float, float]
    diameter_um: float = 400.0
    roundness: float = 0.9
    rim_um: float = 14.0
    rim_density: float = 0.7
    blur_um: float = 3.0
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with the bubble over it."""
        y, x = field.places_um()
        angle = 0.7 * self.seed
        dy, dx = y - self.centre_um[0], x - self.centre_um[1]
        long = np.cos(angle) * dx + np.sin(angle) * dy
        short = (np.cos(angle) * dy - np.sin(angle) * dx) / self.roundness
        radius = np.hypot(long, short)
        wave = uneven(self.seed * 64 + 6, field, self.diameter_um / 2)
        depth = self.diameter_um / 2 * (1 + 0.02 * wave) - radius
        inside = depth > 0
        rim = np.exp(-(((depth - self.rim_um / 2) / (self.rim_um / 2)) ** 2))
        shine = np.exp(-(((depth - 1.6 * self.rim_um) / (self.rim_um / 2)) ** 2))
        white = white_of(field.image)
        density = to_density(field.image, white)
        within = 0.85 * blurred(density, self.blur_um, field.mpp)
        density = np.where(inside[..., None], within, density)
        added = self.rim_density * rim - 0.12 * shine * inside
        image = to_image(density + added[..., None].astype(np.float32), white)
        return Spoiled(Field(image, field.mpp, field.stain), inside)


@dataclass(frozen=True, slots=True)
class Droplets:
    """Drops of water or mounting medium: a crowd of small rings.

    Parameters
    ----------
    centre_um
        (y, x) of the crowd.
    spread_um
        Radius of the crowd.
    diameter_um
        Mean diameter of a drop.
    count
        Drops that are laid.
    rim_density
        Optical density of the rims, equal in all colours.
    seed
        Of the places and sizes.
    """

    centre_um: tuple[float, float]
    spread_um: float = 200.0
    diameter_um: float = 40.0
    count: int = 30
    rim_density: float = 0.55
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with the drops over it."""
        rng = np.random.default_rng([self.seed, 7])
        y, x = field.places_um()
        inside = np.zeros(field.image.shape[:2], bool)
        added: Floats = np.zeros(field.image.shape[:2], np.float32)
        placed: list[tuple[float, float, float]] = []
        for _ in range(20 * self.count):
            if len(placed) == self.count:
                break
            off = self.spread_um * np.sqrt(rng.random())
            turn = rng.uniform(0, 2 * np.pi)
            cy = self.centre_um[0] + off * np.sin(turn)
            cx = self.centre_um[1] + off * np.cos(turn)
            radius = self.diameter_um / 2 * rng.uniform(0.6, 1.4)
            if any(np.hypot(cy - a, cx - b) < radius + r for a, b, r in placed):
                continue
            placed.append((cy, cx, radius))
            height, width, _ = field.image.shape
            rows = _span(cy, radius, field.mpp, height)
            cols = _span(cx, radius, field.mpp, width)
            depth = radius - np.hypot(y[rows] - cy, x[0, cols] - cx)
            edge = max(0.12 * radius, 1.2 * field.mpp)
            ring = np.exp(-(((depth - edge) / edge) ** 2))
            part = added[rows, cols]
            np.maximum(part, self.rim_density * ring.astype(np.float32), out=part)
            inside[rows, cols] |= depth > 0
        white = white_of(field.image)
        density = to_density(field.image, white)
        within = 0.7 * blurred(density, 3.0, field.mpp)
        density = np.where(inside[..., None], within, density)
        image = to_image(density + added[..., None], white)
        return Spoiled(Field(image, field.mpp, field.stain), inside)


@dataclass(frozen=True, slots=True)
class Smudge:
    """Dirt on the cover slip, far out of focus: a grey haze.

    ``diameter_um`` is twice the radius at which the haze has half its
    ``density``, an optical density that is equal in all colours.
    """

    centre_um: tuple[float, float]
    diameter_um: float = 150.0
    density: float = 0.4
    seed: int = 0

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field under the haze."""
        y, x = field.places_um()
        away = np.hypot(y - self.centre_um[0], x - self.centre_um[1])
        wave = uneven(self.seed * 64 + 8, field, self.diameter_um / 2)
        shape = np.exp2(-((2 * away / self.diameter_um * (1 + 0.15 * wave)) ** 2))
        white = white_of(field.image)
        density = to_density(field.image, white)
        density = density + (self.density * shape[..., None]).astype(np.float32)
        image = to_image(density, white)
        return Spoiled(Field(image, field.mpp, field.stain), shape > 0.5)


@dataclass(frozen=True, slots=True)
class FocusLoss:
    """A patch, or with no ``diameter_um`` the whole field, out of focus.

    ``blur_um`` is the radius of the Gaussian blur that is added.
    """

    blur_um: float = 3.0
    centre_um: tuple[float, float] = (0.0, 0.0)
    diameter_um: float | None = None

    def lay_over(self, field: Field) -> Spoiled:
        """Return the blurred field; the sensor's noise stays sharp."""
        image = field.image.astype(np.float32)
        soft = blurred(image, self.blur_um, field.mpp)
        noise = np.random.default_rng(1).normal(0, 1, image.shape).astype(np.float32)
        amount = self._amount(field)
        mixed = image + amount[..., None].astype(np.float32) * (soft + noise - image)
        spoiled = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        return Spoiled(Field(spoiled, field.mpp, field.stain), amount > 0.9)

    def _amount(self, field: Field) -> NDArray[np.float32]:
        if self.diameter_um is None:
            return np.ones(field.image.shape[:2], np.float32)
        y, x = field.places_um()
        away = np.hypot(y - self.centre_um[0], x - self.centre_um[1])
        soft = 0.1 * self.diameter_um
        ramp = np.clip((self.diameter_um / 2 - away) / soft + 0.5, 0, 1)
        return np.asarray(ramp, np.float32)


def _span(centre_um: float, radius_um: float, mpp: float, size_px: int) -> slice:
    first = int((centre_um - radius_um) / mpp) - 1
    last = int((centre_um + radius_um) / mpp) + 2
    return slice(min(max(first, 0), size_px), min(max(last, 0), size_px))
