"""Virtual artefacts: what goes wrong on a slide, with the truth of where it lies.

An artefact is a small frozen value with lengths in µm. It is laid over a field of
rendered tissue, and hands back the spoiled field and a mask of what it spoiled. The
same value on the same field gives the same pixels. What each looks like follows
general knowledge of glass slides; optical densities are base 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.phantom.noise import Floats, fractal_noise
from napari_her2.phantom.parameters import DAB, EOSIN, HAEMATOXYLIN

MOST_DENSITY = 3.0
TISSUE_DENSITY = 0.12
"""Sum of the three densities from which a pixel of a virtual field is tissue."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A rendered field: RGB (h, w, 3) uint8, its µm per pixel and its stain."""

    image: NDArray[np.uint8]
    mpp: float
    stain: Stain

    @property
    def size_um(self) -> tuple[float, float]:
        """(height, width) in µm."""
        height, width, _ = self.image.shape
        return height * self.mpp, width * self.mpp

    def places_um(self) -> tuple[Floats, Floats]:
        """Return y (h, 1) and x (1, w) of the pixel centres, in µm."""
        height, width, _ = self.image.shape
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * self.mpp
        x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) * self.mpp
        return y, x


@dataclass(frozen=True, slots=True, eq=False)
class Spoiled:
    """A field after an artefact, and where that lies: bool (h, w)."""

    field: Field
    mask: NDArray[np.bool_]


class Artefact(Protocol):
    """Something that spoils a field."""

    def lay_over(self, field: Field) -> Spoiled:
        """Return the spoiled field with the mask of what was spoiled."""


def spoil(field: Field, artefacts: Sequence[Artefact]) -> tuple[Field, list[Spoiled]]:
    """Lay artefacts over a field, one after the other.

    Returns the field as it is after the last, and one entry for each.
    """
    steps = []
    for artefact in artefacts:
        steps.append(artefact.lay_over(field))
        field = steps[-1].field
    return field, steps


def white_of(image: NDArray[np.uint8]) -> Floats:
    """Return the glass of a virtual field, grey values (3,)."""
    thinned = image[::4, ::4].reshape(-1, 3)
    return np.percentile(thinned, 99, axis=0).astype(np.float32)


def to_density(image: NDArray[np.uint8], white: Floats) -> Floats:
    """Return optical densities (h, w, 3) of an image over its glass."""
    light = np.maximum(image, 1) / white
    density: Floats = np.clip(-np.log10(light), -0.05, MOST_DENSITY).astype(np.float32)
    return density


def to_image(density: Floats, white: Floats) -> NDArray[np.uint8]:
    """Return the grey values of optical densities (h, w, 3)."""
    light = white * np.power(np.float32(10), -density)
    return (np.clip(light, 0, 254.5) + 0.5).astype(np.uint8)


def tissue_of(density: Floats) -> NDArray[np.bool_]:
    """Return which pixels are tissue, small gaps filled."""
    return np.asarray(ndimage.binary_closing(density.sum(-1) > TISSUE_DENSITY), bool)


def dyes_of(stain: Stain) -> Floats:
    """Return the unit vectors (2, 3) of haematoxylin and the second dye."""
    second = EOSIN if stain is Stain.HE else DAB
    vectors = np.array([HAEMATOXYLIN, second], np.float32)
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def uneven(seed: int, field: Field, wavelength_um: float) -> Floats:
    """Return smooth noise (h, w) of about unit variance over a field.

    Drawn on a lattice far finer than its wavelength and interpolated.
    """
    height, width, _ = field.image.shape
    step_um = wavelength_um / 12
    y, x = (np.arange(-1, side / step_um + 2) for side in field.size_um)
    noise = fractal_noise(
        seed, y[:, None] * step_um, x[None, :] * step_um, wavelength_um, 2
    )
    rows = (np.arange(height) + 0.5) * field.mpp / step_um + 1
    cols = (np.arange(width) + 0.5) * field.mpp / step_um + 1
    top, left = np.floor(rows).astype(int), np.floor(cols).astype(int)
    down, along = (rows - top)[:, None], cols - left
    across = noise[:, left] * (1 - along) + noise[:, left + 1] * along
    mixed = across[top] * (1 - down) + across[top + 1] * down
    return np.asarray(mixed, np.float32)


def blurred(image: Floats, sigma_um: float, mpp: float) -> Floats:
    """Blur an image (h, w, 3) by a Gaussian of this radius."""
    sigma_px = sigma_um / mpp
    out: Floats = ndimage.gaussian_filter(image, (sigma_px, sigma_px, 0))
    return out
