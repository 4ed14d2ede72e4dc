"""One stain made worse in five steps: blur, stain shift, wrong section.

Every corruption is a function of the image, a level from 1 to 5 and, for a wrong
section, another image; level 0 is the image itself. The same image and level give
the same result.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from scipy.ndimage import gaussian_filter1d

from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import Floats

LEVELS = (1, 2, 3, 4, 5)
"""Levels of corruption; 0 leaves an image as it is."""

BLUR_UM = (0.0, 0.35, 0.7, 1.4, 2.8, 5.6)
"""Standard deviation of the blur by level."""

TURN_DEG = (0.0, 5.0, 10.0, 20.0, 35.0, 60.0)
"""Turn of the densities about the grey axis by level."""

GAIN = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35)
"""Factor on the densities by level: stains fade."""

FOREIGN_SHARE = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Share of the width that comes from another slide by level."""


class Corruption(StrEnum):
    """What happens to a stain."""

    BLUR = "blur"
    STAIN = "stain shift"
    SECTION = "wrong section"


def corrupt(
    image: Image, how: Corruption, level: int, *, mpp: float, other: Image
) -> Image:
    """Return a corrupted image (h, w, 3).

    Parameters
    ----------
    image
        uint8.
    how, level
        Kind and level, 0 to 5.
    mpp
        µm per pixel.
    other
        The same place of another slide in the same stain, for a wrong section.
    """
    if level == 0:
        return image
    match how:
        case Corruption.BLUR:
            return blur(image, BLUR_UM[level] / mpp)
        case Corruption.STAIN:
            return shift_stain(image, TURN_DEG[level], GAIN[level])
        case Corruption.SECTION:
            edge = round(FOREIGN_SHARE[level] * image.shape[1])
            mixed = image.copy()
            mixed[:, :edge] = other[:, :edge]
            return mixed


def blur(image: Image, sigma_px: float) -> Image:
    """Blur with a Gaussian of the given standard deviation, colour by colour."""
    blurred = image.astype(np.float32)
    for axis in (0, 1):
        blurred = gaussian_filter1d(blurred, sigma_px, axis=axis, mode="reflect")
    result: Image = np.rint(blurred).astype(np.uint8)
    return result


def shift_stain(image: Image, turn_deg: float, gain: float) -> Image:
    """Turn the densities about the grey axis and multiply them.

    A turn leaves the sum of the three densities as it is and changes the hue.
    """
    table = -np.log((np.arange(256) + 1) / 256).astype(np.float32)
    density = table.take(image) @ (_turn(turn_deg).T * gain).astype(np.float32)
    light = 256 * np.exp(-density) - 1
    result: Image = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    return result


def _turn(degrees: float) -> Floats:
    """Return the rotation about (1, 1, 1), by Rodrigues' formula."""
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.array(
        [
            [0, -axis[2], axis[1]],
            [axis[2], 0, -axis[0]],
            [-axis[1], axis[0], 0],
        ]
    )
    angle = math.radians(degrees)
    turn: Floats = (
        np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    )
    return turn
