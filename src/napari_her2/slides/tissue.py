"""Where there is tissue on a slide, from one coarse level.

Method: the background is the commonest bright colour, whatever its tint; tissue
is what absorbs clearly more light than that. Ink of a green or blue pen absorbs
red as no stain does and is left out; red and black pen are not told from tissue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.geometry import BoxPx
from napari_her2.slides.slide import Slide

_COARSEST_MPP: Final = 16.0
_UNKNOWN_SCALE_PX: Final = 1024
_MIN_DENSITY: Final = 0.045
_SURE_DENSITY: Final = 0.13
"""Sums of the three channels' optical density above the background."""
_MIN_COLOUR: Final = 0.05
_MIN_SURE_PX: Final = 16
_MIN_SURE_SHARE: Final = 0.02
_MIN_BRIGHTNESS: Final = 150
_BLACK: Final = 20
_PEN_RED_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class TissueMask:
    """A coarse mask that covers the whole slide.

    Parameters
    ----------
    mask
        Shape (rows, columns), True on tissue.
    mpp
        µm per pixel of the mask; where the slide has no scale, level-0 pixels
        per pixel of the mask, and ``share`` is then asked with a scale of 1.
    """

    mask: NDArray[np.bool_]
    mpp: float

    @property
    def total_share(self) -> float:
        """Share of the slide that is tissue, in [0, 1]."""
        return float(self.mask.mean())

    def share(self, box_px: BoxPx, slide_mpp: float) -> float:
        """Return the share of a box that is tissue, in [0, 1].

        Parameters
        ----------
        box_px
            In level-0 pixels; what lies outside the slide counts as no tissue.
        slide_mpp
            µm per pixel of level 0.

        Notes
        -----
        A box smaller than a pixel of the mask takes the pixels it touches.
        """
        if box_px.is_empty:
            return 0.0
        factor = slide_mpp / self.mpp
        y0, x0 = math.floor(box_px.y0 * factor), math.floor(box_px.x0 * factor)
        y1 = max(math.ceil(box_px.y1 * factor - 1e-6), y0 + 1)
        x1 = max(math.ceil(box_px.x1 * factor - 1e-6), x0 + 1)
        part = self.mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        return float(part.sum()) / ((y1 - y0) * (x1 - x0))


def find_tissue(slide: Slide) -> TissueMask:
    """Find the tissue of a slide.

    Reads the coarsest level of at most 16 µm/px; without a scale, the coarsest
    one whose long side is at least 1024 px, or level 0.
    """
    index = _level_index(slide)
    mask = tissue_of_image(np.asarray(slide.levels[index]))
    return TissueMask(mask, slide.downsample(index) * (slide.mpp or 1.0))


def _level_index(slide: Slide) -> int:
    indices = range(len(slide.levels))
    if slide.mpp is not None:
        mpp = slide.mpp
        fine = [i for i in indices if slide.downsample(i) * mpp <= _COARSEST_MPP]
    else:
        fine = [i for i in indices if max(slide.levels[i].shape) >= _UNKNOWN_SCALE_PX]
    return max(fine, default=0)


def tissue_of_image(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the tissue mask (H, W) of an RGB image (H, W, 3), 0–255."""
    red, green, blue = _smoothed(image)
    brightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    background = _background(red + green + blue, brightest, darkest, image)
    density = [
        np.maximum(-np.log10(np.maximum(channel, 1) / white), 0)
        for channel, white in zip((red, green, blue), background, strict=True)
    ]
    # on a large slide each of these has eight megabytes
    del red, green, blue, darkest
    total = density[0] + density[1] + density[2]
    is_pen = density[0] > _PEN_RED_SHARE * np.maximum(total, 0.3)
    is_ink = is_pen | (brightest <= _BLACK)
    noise = float(np.median(total[total < _SURE_DENSITY])) if total.min() < 0.1 else 0
    is_tissue = (total > max(_MIN_DENSITY, 2.5 * noise)) & ~is_ink
    is_tissue = ndimage.binary_opening(is_tissue)
    is_tissue |= ndimage.binary_closing(is_tissue, iterations=2) & ~is_ink
    # pale tissue counts where it hangs together with some that is certain, and
    # nothing is certain that is grey: an edge of glass, dust, a shadow
    colour = np.maximum(np.maximum(*density[:2]), density[2])
    colour -= np.minimum(np.minimum(*density[:2]), density[2])
    labels, n_objects = ndimage.label(is_tissue)
    is_sure = is_tissue & (total > _SURE_DENSITY) & (colour > _MIN_COLOUR * total)
    sure_px = np.bincount(labels[is_sure], minlength=n_objects + 1)
    is_object = sure_px >= np.maximum(
        _MIN_SURE_PX, _MIN_SURE_SHARE * np.bincount(labels.ravel())
    )
    is_object[0] = False
    return np.asarray(is_object[labels], bool)


def glass_colour(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return the grey values of the background of an RGB image (H, W, 3), 0–255.

    Grey and tinted glass counts; where no glass is in the image, (240, 240, 240).
    """
    red, green, blue = _smoothed(image)
    brightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    return _background(red + green + blue, brightest, darkest, image)


def _smoothed(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    # channel by channel: numpy is slow along an axis of three
    return [
        ndimage.uniform_filter(image[..., channel].astype(np.float32), 3)
        for channel in range(3)
    ]


def _background(
    brightness: NDArray[np.float32],
    brightest: NDArray[np.float32],
    darkest: NDArray[np.float32],
    image: NDArray[np.uint8],
) -> tuple[float, float, float]:
    """Return the commonest bright colour, or near white where none is bright.

    ``brightness`` is the sum of the three smoothed channels, the two after it
    their largest and smallest.
    """
    # glass is bright and nearly neutral; pale tissue is neither
    is_glass = (darkest > _MIN_BRIGHTNESS) & (brightest - darkest < 40)
    if is_glass.mean() < 0.01:
        return (240.0, 240.0, 240.0)
    counts, edges = np.histogram(brightness[is_glass], bins=64, range=(450, 766))
    counts = ndimage.uniform_filter1d(counts.astype(float), 3)
    # among peaks of weight the brightest: glass is lighter than any section
    peak = np.flatnonzero(counts >= 0.25 * counts.max())[-1]
    is_glass &= (brightness >= edges[max(peak - 2, 0)]) & (
        brightness <= edges[peak + 1]
    )
    red, green, blue = np.median(image[is_glass], axis=0).tolist()
    return red, green, blue
