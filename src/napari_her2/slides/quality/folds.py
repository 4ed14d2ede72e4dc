"""Folds of the section: long bands that take more of every colour than both sides.

Where the section lies upon itself its own dyes add up, so that a band as long as a
fold rises in every colour, above both its sides and above what is usual on the slide.
A dense crowd of cells, a duct or a fibre does so in one colour more than in another,
on one side only, or over a short way. It is looked for in 16 directions, in the grey
opening of the density by a disc: single nuclei are gone from it, and a band as narrow
as a disc is left whichever way it runs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.slides.quality.dyes import amounts
from napari_her2.slides.quality.overview import Floats, Overview
from napari_her2.slides.quality.shapes import Mask, drop_small, grown

RISE: Final = 1.12
"""Least ratio of a band to the denser of its sides, in every colour."""
USUAL: Final = 1.2
"""What counts as a side at least: so many times the median of the tissue's.
Two layers of tissue as it usually is give 2."""
ABOVE_SPREAD: Final = 2.0
"""How many times the span from median to 90th percentile of the tissue above the
median a fold begins, in the total of H&E and in the haematoxylin of IHC. Glands and
epithelium of three HER2 cores and an H&E slide, long and denser than their sides too,
end below; the dark rim of another H&E slide does not."""
LEAST_ADDED: Final = {Stain.HE: 0.12, Stain.IHC: 0.025}
"""Least density above the median, of the same."""
ALONG_UM: Final = (-96.0, -64.0, -32.0, 0.0, 32.0, 64.0, 96.0)
"""Where along the band it is compared with its sides; at one it may fail."""
ASIDE_UM: Final = (22.0, 36.0, 52.0, 70.0)
"""How far aside the sides lie, one distance for both."""
LEAST_AREA_UM2: Final = 1_200.0
"""Of the middle line, as broad as it is found. Of 100 clean virtual fields one, of as
many folds 98 have such a line that passes all else."""
_DISC_UM: Final = 24.0
_OPENED_UM: Final = 4.0
_LOOK_UM: Final = 8.0
"""Pixels in which the density is opened, as most slides are looked at, and in which
bands are looked for."""
_DIRECTIONS: Final = 16
_HALF_UM: Final = 45.0


def fold_mask(view: Overview, without: Mask) -> Mask:
    """Return where the section is folded (h, w), outside ``without``."""
    finely = max(1, round(_OPENED_UM / view.mpp))
    twice = max(1, round(_LOOK_UM / (view.mpp * finely)))
    by = finely * twice
    opened = _opened(_coarse(view.density, finely), view.mpp * finely)
    floor = _coarse(opened, twice)
    tissue, free = (_coarse(_coarse(m, finely), twice) for m in (view.tissue, ~without))
    if view.stain is Stain.IHC:
        # a brown nest rises in every colour too, but has no more of the blue dye
        floor = np.concatenate([floor, amounts(floor, view.stain)[:1]])
    mpp = view.mpp * by
    within = (tissue > 0.5) & (free > 0.9)
    if within.sum() < 100:
        return np.zeros(view.tissue.shape, bool)
    usual = np.maximum(USUAL * np.median(floor[:, within], axis=1), 1e-3)
    dense = (floor > usual[:, None, None]).all(0) & (free > 0.5)
    line = dense & _stands_out(floor, within, view.stain)
    line[line] = rises(floor, np.argwhere(line), usual, mpp) > RISE
    line = drop_small(line, round(LEAST_AREA_UM2 / mpp**2))
    band = dense & grown(line, round(_HALF_UM / mpp))
    out = np.zeros(view.tissue.shape, bool)
    fine = np.kron(band, np.ones((by, by), bool)).astype(bool)
    out[: fine.shape[0], : fine.shape[1]] = fine
    return out


def rises(
    floor: Floats, places: NDArray[np.int64], usual: Floats, mpp: float
) -> NDArray[np.float32]:
    """Return how many times its sides a band through each place (n, 2) has.

    Of all directions and widths the best; of the colours (3, h, w) the least, along
    the band the second least.
    """
    _, height, width = floor.shape
    flat = floor.reshape(len(floor), -1)

    def at(down_um: float, right_um: float) -> Floats:
        rows = np.clip(places[:, 0] + round(down_um / mpp), 0, height - 1)
        cols = np.clip(places[:, 1] + round(right_um / mpp), 0, width - 1)
        return flat[:, rows * width + cols]

    best = np.zeros(len(places), np.float32)
    for turn in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        down, right = float(np.sin(turn)), float(np.cos(turn))
        middles = [at(s * down, s * right) for s in ALONG_UM]
        for aside in ASIDE_UM:
            ratios = []
            for s, middle in zip(ALONG_UM, middles, strict=True):
                one = at(s * down + aside * right, s * right - aside * down)
                other = at(s * down - aside * right, s * right + aside * down)
                side = np.maximum(np.maximum(one, other), usual[:, None])
                ratios.append((middle / side).min(0))
            second = np.partition(np.stack(ratios), 1, axis=0)[1]
            np.maximum(best, second, out=best)
    return best


def _opened(density: Floats, mpp: float) -> Floats:
    """Return the density (3, h, w) without what is smaller than the disc."""
    radius = _DISC_UM / 2 / mpp
    along = np.arange(-int(radius), int(radius) + 1)
    disc = along[:, None] ** 2 + along**2 <= radius**2 + 0.5
    return np.stack([ndimage.grey_opening(plane, footprint=disc) for plane in density])


def _stands_out(floor: Floats, within: Mask, stain: Stain) -> Mask:
    """Tell where there is clearly more than on most of the slide."""
    value = floor.sum(0) if stain is Stain.HE else floor[-1]
    mid, high = np.quantile(value[within], (0.5, 0.9))
    least = mid + max(ABOVE_SPREAD * (high - mid), LEAST_ADDED[stain])
    return np.asarray(value > least, bool)


def _coarse(field: NDArray[np.generic], by: int) -> Floats:
    """Average planes (..., h, w) over squares of ``by`` pixels."""
    height, width = (side // by for side in field.shape[-2:])
    part = field[..., : height * by, : width * by].astype(np.float32)
    blocks = part.reshape(*part.shape[:-2], height, by, width, by)
    return np.asarray(blocks.mean((-3, -1)), np.float32)
