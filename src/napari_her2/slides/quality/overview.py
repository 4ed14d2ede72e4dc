"""One coarse look at a slide, shared by what searches it for large things.

The look has about 4 µm/px, so that single nuclei and the gaps between them are
still seen. Beside the optical density it holds the *floor*: the grey opening of
the density over 24 µm. Cells and fibres are smaller than that and vanish from
the floor; what stays is light absorbed everywhere around, so by a layer: ink, a
second layer of tissue, dirt. The floor keeps the hue of that layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.slides.quality.reading import read_averaged
from napari_her2.slides.slide import Slide
from napari_her2.slides.tissue import glass_colour, tissue_of_image

OVERVIEW_MPP: Final = 4.0
ASSUMED_MPP: Final = 0.5
"""µm/px that lengths are taken with where a slide does not know its scale."""
FEWEST_PX: Final = 512
MOST_PX: Final = 6000
"""Least and most pixels of the look's longer side; a field of few pixels is
looked at more finely, a huge slide more coarsely."""
FLOOR_UM: Final = 24.0
"""Side of the floor's window: more than a nucleus (14 µm) and a membrane."""
_UNKNOWN_FLOOR_SHARE: Final = 1 / 75
"""The same as a share of the longer side, where the scale is unknown."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Overview:
    """A slide at about 4 µm/px.

    Parameters
    ----------
    image
        RGB (h, w, 3) uint8.
    stain
        What the slide was given as.
    mpp
        µm per pixel of the image; assumed where ``is_measured`` is False.
    pixel_px
        Level-0 pixels per pixel of the image.
    is_measured
        Whether the slide knows its scale.
    """

    image: NDArray[np.uint8]
    stain: Stain
    mpp: float
    pixel_px: float
    is_measured: bool

    @property
    def mask_mpp(self) -> float | None:
        """µm per pixel to be told of a mask, None where the scale is unknown."""
        return self.mpp if self.is_measured else None

    @cached_property
    def glass(self) -> Floats:
        """Grey values (3,) of the background."""
        return np.asarray(glass_colour(self.image), np.float32)

    @cached_property
    def density(self) -> Floats:
        """Optical density (3, h, w) over the glass, 0 to 2.4."""
        return densities(self.image, self.glass)

    @cached_property
    def total(self) -> Floats:
        """Sum of the three densities (h, w)."""
        return np.asarray(self.density.sum(0), np.float32)

    @cached_property
    def floor_px(self) -> int:
        """Side of the floor's window in pixels, odd."""
        side = FLOOR_UM / self.mpp
        if not self.is_measured:
            side = min(max(self.image.shape) * _UNKNOWN_FLOOR_SHARE, 9)
        return 2 * int(np.clip(side, 3, 25) / 2) + 1

    @cached_property
    def floor(self) -> Floats:
        """Density (3, h, w) that is nowhere less within 24 µm."""
        size = self.floor_px
        return np.stack(
            [
                ndimage.grey_opening(ndimage.uniform_filter(plane, 2), (size, size))
                for plane in self.density
            ]
        )

    @cached_property
    def floor_total(self) -> Floats:
        """Sum of the floor's densities (h, w)."""
        return np.asarray(self.floor.sum(0), np.float32)

    @cached_property
    def tissue(self) -> NDArray[np.bool_]:
        """Where tissue is (h, w), pen among it where it looks like tissue."""
        return tissue_of_image(self.image)

    def px(self, length_um: float, least: int = 1) -> int:
        """Return a length in whole pixels."""
        return max(least, round(length_um / self.mpp))


def densities(image: NDArray[np.uint8], glass: Floats) -> Floats:
    """Return the optical density (3, h, w) of an image over glass (3,), 0 to 2.4."""
    planes = [
        -np.log10(np.maximum(image[..., i], 1).astype(np.float32) / white)
        for i, white in enumerate(glass)
    ]
    return np.asarray(np.clip(np.stack(planes), 0, 2.4), np.float32)


def look_at(slide: Slide, stain: Stain, assumed_mpp: float = ASSUMED_MPP) -> Overview:
    """Read a slide at about 4 µm/px, or as finely as its size asks for."""
    mpp = slide.mpp or assumed_mpp
    longest_um = max(slide.shape) * mpp
    wanted = max(min(OVERVIEW_MPP, longest_um / FEWEST_PX), longest_um / MOST_PX, mpp)
    image, pixel_px = read_averaged(slide, wanted / mpp)
    return Overview(image, stain, mpp * pixel_px, pixel_px, slide.mpp is not None)
