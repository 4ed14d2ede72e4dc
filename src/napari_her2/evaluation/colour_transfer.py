"""What a translation must beat: images made without learning anything.

The statistics are those of all real IHC of the evaluation, one target for every
region: a little better than what a laboratory could know beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import Floats


@dataclass(frozen=True, slots=True)
class ColourSums:
    """Sums over pixels that give mean and spread of colours.

    ``lab`` and ``lab_squared`` (3,) are in CIELAB, ``rgb`` (3,) in grey values.
    """

    n: float
    rgb: Floats
    lab: Floats
    lab_squared: Floats

    @classmethod
    def of(cls, image: Image) -> ColourSums:
        """Sum an image (h, w, 3); every fourth pixel each way is enough."""
        part = image[::4, ::4]
        lab = rgb2lab(part).reshape(-1, 3)
        return cls(
            float(len(lab)),
            part.reshape(-1, 3).sum(0).astype(float),
            lab.sum(0),
            (lab**2).sum(0),
        )

    def __add__(self, other: ColourSums) -> ColourSums:
        return ColourSums(
            self.n + other.n,
            self.rgb + other.rgb,
            self.lab + other.lab,
            self.lab_squared + other.lab_squared,
        )

    @property
    def mean_colour(self) -> NDArray[np.uint8]:
        """Mean RGB, which has the least squared error of all flat colours."""
        mean: NDArray[np.uint8] = np.rint(self.rgb / self.n).astype(np.uint8)
        return mean

    @property
    def lab_mean(self) -> Floats:
        """Mean of L, a and b."""
        return self.lab / self.n

    @property
    def lab_spread(self) -> Floats:
        """Standard deviation of L, a and b."""
        variance = self.lab_squared / self.n - self.lab_mean**2
        spread: Floats = np.sqrt(np.clip(variance, 1e-6, None))
        return spread


def flat_colour(shape: tuple[int, ...], target: ColourSums) -> Image:
    """Return an image of the target's mean colour."""
    return np.broadcast_to(target.mean_colour, shape).copy()


def transfer_colour(image: Image, target: ColourSums) -> Image:
    """Give an image the mean and the spread of colour of the target in CIELAB.

    Source: Reinhard and others, IEEE Comput Graph Appl 2001;21:34.
    """
    own = ColourSums.of(image)
    moved = (rgb2lab(image) - own.lab_mean) * (target.lab_spread / own.lab_spread)
    # colours outside sRGB are clipped
    rgb = np.clip(lab2rgb(_in_lab(moved + target.lab_mean)), 0, 1)
    result: Image = np.rint(rgb * 255).astype(np.uint8)
    return result


def _in_lab(lab: Floats) -> Floats:
    """Keep L, a and b where lab2rgb says nothing about negative z."""
    lab = np.clip(lab, [0, -128, -128], [100, 127, 127])
    # fz = fy - b / 200 must not be negative
    lab[..., 2] = np.minimum(lab[..., 2], 200 * (lab[..., 0] + 16) / 116)
    return lab
