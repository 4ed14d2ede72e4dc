"""A section as registration sees it: where there is tissue, and where nuclei are.

Both are made so that H&E and IHC look alike: occupancy saturates, so that a pale
and a dark tissue count the same against glass, lumen and fat; what absorbs red
light is haematoxylin first, in either stain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.errors import SlideError
from napari_her2.core.geometry import Affine
from napari_her2.slides.resample import read_mapped
from napari_her2.slides.slide import Slide
from napari_her2.slides.tissue import glass_colour

Floats = NDArray[np.float32]

WORKING_PX: Final = 1280
"""Long side of the image on which sections are registered, where it has as many."""
FINEST_MPP: Final = 1.0
LEAST_TISSUE: Final = 0.005
"""Share of the slide; with less there is nothing to go by."""
_TISSUE_DENSITY: Final = 0.12
_OUTSIDE: Final = 20
"""What a scanner leaves black was not scanned."""


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One section in working pixels.

    Parameters
    ----------
    occupancy, nuclei
        (h, w), 0 on glass to about 1.
    tissue
        (h, w), where there is tissue.
    um_per_px
        µm of a working pixel, or level-0 pixels where the scale is not known.
    """

    occupancy: Floats
    nuclei: Floats
    tissue: NDArray[np.bool_]
    um_per_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in working pixels."""
        height, width = self.occupancy.shape
        return height, width

    @property
    def channels(self) -> tuple[Floats, Floats]:
        """Occupancy and nuclei."""
        return self.occupancy, self.nuclei

    def shrunk(self, side_px: int) -> Section:
        """Return the section in coarser pixels, at most so many along its side."""
        factor = max(self.shape) / side_px
        if factor <= 1:
            return self
        occupancy, nuclei, tissue = (
            shrink(one, factor)
            for one in (*self.channels, self.tissue.astype(np.float32))
        )
        return Section(occupancy, nuclei, tissue > 0.5, self.um_per_px * factor)

    @property
    def size_um(self) -> NDArray[np.float64]:
        """(height, width) in µm."""
        return np.array(self.shape) * self.um_per_px


def section_of(image: NDArray[np.uint8], um_per_px: float) -> Section:
    """Return what registration sees of an RGB image (h, w, 3)."""
    white = np.maximum(glass_colour(image), 1.0)
    light = np.maximum(image.astype(np.float32), 1)
    light[image.max(-1) <= _OUTSIDE] = white
    density = np.maximum(-np.log10(light / white.astype(np.float32)), 0)
    total = density.sum(-1)
    tissue = ndimage.binary_opening(ndimage.uniform_filter(total, 3) > _TISSUE_DENSITY)
    usual, dark = 0.5, 0.5
    if tissue.any():
        usual = max(float(np.median(total[tissue])), 0.1)
        dark = max(float(np.percentile(density[tissue, 0], 95)), 0.05)
    occupancy = 1 - np.exp(-1.5 * total / usual)
    nuclei = np.clip(density[..., 0] / dark, 0, 1.5)
    return Section(
        occupancy.astype(np.float32), nuclei.astype(np.float32), tissue, um_per_px
    )


def read_section(slide: Slide, mpp: float) -> Section:
    """Read a slide at the resolution of registration.

    Parameters
    ----------
    mpp
        µm per level-0 pixel, or what stands in for it.

    Raises
    ------
    SlideError
        If there is no tissue to go by.
    """
    side_um = max(slide.shape) * mpp
    um_per_px = max(mpp, side_um / WORKING_PX)
    if slide.mpp is not None:
        um_per_px = max(um_per_px, FINEST_MPP)
    height, width = (max(1, round(side * mpp / um_per_px)) for side in slide.shape)
    image = read_mapped(slide, Affine.scaling(um_per_px / mpp), (height, width))
    section = section_of(image, um_per_px)
    if section.tissue.mean() < LEAST_TISSUE:
        raise SlideError(
            slide.path,
            "there is too little tissue on it to register.",
            "Check that it is the right slide, or place landmarks by hand.",
        )
    return section


def shrink(image: Floats, factor: float) -> Floats:
    """Return an image in pixels ``factor`` times as large, its corner where it was."""
    smooth = ndimage.gaussian_filter(image, 0.4 * factor) if factor > 1 else image
    shape = [max(1, round(side / factor)) for side in image.shape]
    at = np.meshgrid(
        *((np.arange(side) + 0.5) * factor - 0.5 for side in shape), indexing="ij"
    )
    small: Floats = ndimage.map_coordinates(smooth, at, order=1, mode="nearest")
    return small
