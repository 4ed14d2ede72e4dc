"""Refuse a slide whose colours cannot be those of the stain it was given as.

Method: per pixel the optical density (OD, minus log10 of transmitted light over
the background) has a hue that hardly depends on how much stain there is. Brown
DAB absorbs blue most and red least; haematoxylin absorbs red and green more than
blue; every mixture of the two lies on a line between their hues (stain vectors:
Ruifrok and Johnston 2001). Eosin absorbs more green than any such mixture, and
how much more, in the pinkest tenth of the tissue, is the pinkness. On real slides
it is above 0.20 for H&E and below 0.01 for IHC (three scanners, six tissues), so
the limits lie far from both and leave room for violet haematoxylin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.core.score import Stain
from napari_her2.slides.slide import Slide

_MIN_TISSUE_PX: Final = 1500
_RED_INK: Final = (0.12, 0.36)
"""Red pen is no stain: red's share of the absorption below the first, blue's above the
second (:mod:`napari_her2.slides.quality.pen`). DAB has at least 0.17 of red."""

_DARK: Final = 60
"""A pixel whose brightest channel is below this is black, not stained."""


@dataclass(frozen=True, slots=True)
class StainColours:
    """Hues of absorption over the tissue pixels of an image.

    ``pinkness`` is the excess of green absorption in the pinkest tenth, as a
    share of the whole absorption; the shares of pixels with the hue of one stain
    and ``dark``, the share of *all* pixels that are black, lie in [0, 1].
    """

    n_tissue_px: int
    pinkness: float
    eosin: float
    dab: float
    haematoxylin: float
    dark: float


def stain_colours(image: NDArray[np.uint8]) -> StainColours:
    """Measure the stain hues of an RGB image (H, W, 3) with 0–255 per channel."""
    # channel by channel: numpy is slow along an axis of three
    channels = [image[..., i].ravel().astype(np.float32) for i in range(3)]
    dark = float((np.maximum(np.maximum(*channels[:2]), channels[2]) < _DARK).mean())
    density = []
    for channel in channels:
        white = np.clip(np.percentile(channel, 95), 180, 255)
        density.append(np.maximum(-np.log10(np.maximum(channel, 1) / white), 0))
    total = density[0] + density[1] + density[2]
    is_tissue = (total > 0.15) & (total < 4)
    is_ink = (density[0] < _RED_INK[0] * total) & (density[2] > _RED_INK[1] * total)
    is_tissue &= ~is_ink
    n_tissue_px = int(is_tissue.sum())
    if n_tissue_px == 0:
        return StainColours(0, 0.0, 0.0, 0.0, 0.0, dark)
    red, green, blue = (one[is_tissue] / total[is_tissue] for one in density)
    over_red, over_blue = green - red, green - blue
    excess = over_red - (0.031 + 0.406 * (0.25 - over_blue))
    is_no_brown = over_blue > 0
    pinkness = 0.0
    if is_no_brown.mean() > 0.1:
        pinkness = float(np.percentile(excess[is_no_brown], 90))
    return StainColours(
        n_tissue_px,
        pinkness,
        eosin=float(((excess > 0.07) & is_no_brown).mean()),
        dab=float(((blue - red > 0.12) & (blue > 0.9 * green)).mean()),
        haematoxylin=float(((red - blue > 0.06) & (red >= green - 0.06)).mean()),
        dark=dark,
    )


def check_stain(slide: Slide, stain: Stain) -> None:
    """Refuse a slide that clearly is not what it was given as.

    A slide with little tissue, or with colours that could be either, passes.

    Raises
    ------
    SlideError
        If it is H&E given as IHC, IHC given as H&E, or dark like fluorescence.
    """
    seen = stain_colours(np.asarray(slide.levels[-1]))
    if seen.dark > 0.5:
        raise SlideError(
            slide.path,
            "it is dark, as a fluorescence image is, and no brightfield slide.",
            f"Open the scanned {stain.label} slide.",
            slide.name,
        )
    if seen.n_tissue_px < _MIN_TISSUE_PX:
        return
    if stain is Stain.HE:
        if seen.dab > 0.03 and seen.pinkness < 0.15:
            raise _refusal(slide, "IHC (brown DAB, no pink eosin)", stain)
        if seen.haematoxylin > 0.7 and seen.pinkness < 0.05:
            raise _refusal(slide, "IHC (blue counterstain, no pink eosin)", stain)
    elif seen.eosin > 0.5 and seen.pinkness > 0.19 and seen.dab < 0.02:
        raise _refusal(slide, "H&E (pink eosin, no brown DAB)", stain)


def _refusal(slide: Slide, looks_like: str, stain: Stain) -> SlideError:
    return SlideError(
        slide.path,
        f"it looks like {looks_like} but was given as {stain.label}.",
        "Check whether H&E and IHC were exchanged.",
        slide.name,
    )
