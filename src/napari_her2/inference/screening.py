"""Whether an image can be assessed at all, asked before anything is computed on it.

One function serves the command line, the engine and whoever else must know. It reads
fixed windows of the slide at the bundle's µm/px, so that the answer depends on slide,
stain and bundle alone, and gives a reason in words: about the quality of the image
where that is to blame, else that tissue or stain are unfamiliar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import Her2Error, SlideError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.score import Stain
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.resample import read_mapped
from napari_her2.slides.slide import Slide, open_slide
from napari_her2.slides.stain_check import check_stain, stain_colours

if TYPE_CHECKING:
    from napari_her2.models.familiarity import Familiarity

UNFAMILIAR: Final = "unfamiliar tissue or stain"
MAX_BLOCKS: Final = 12
"""Blocks that are read of a large slide, spread over it."""

_BLOCK_PX: Final = 512
_SCALE_RATIO: Final = 1.5
_SHARPNESS: Final = 0.02
_LOOK_PX: Final = 24


@dataclass(frozen=True, slots=True)
class Screening:
    """Whether an image is refused, why, and how unfamiliar it is.

    ``reason`` is empty for an image that can be assessed; ``distance`` is 1 at the
    threshold and NaN where it was not measured.
    """

    abstained: bool
    reason: str
    distance: float


def screen_file(
    path: Path | str,
    stain: Stain | None,
    familiarity: Familiarity | None,
    mpp: float,
    given_mpp: float | None = None,
) -> Screening:
    """Screen an image file; a file that cannot be read is a reason, not an error."""
    try:
        slide = open_slide(path)
    except Her2Error as error:
        return _refused(f"unreadable: {error.problem}")
    try:
        if given_mpp is not None:
            slide = slide.with_mpp(given_mpp)
        found = screen_image(slide, stain, familiarity, mpp)
        return _with_quality(found, slide, stain, mpp)
    except Her2Error as error:
        return _refused(f"unreadable: {error.problem}")
    finally:
        slide.close()


def _with_quality(
    found: Screening, slide: Slide, stain: Stain | None, mpp: float
) -> Screening:
    """Add what blocks by quality to what was found; nothing is taken back.

    An image that was refused by its header or its scale is not looked at again.
    """
    if found.abstained and math.isnan(found.distance):
        return found
    if stain is None:
        stain = _stain_of([np.asarray(slide.levels[-1])])
    report = assess_quality(slide, stain, assumed_mpp=mpp)
    reasons = [finding.sentence.rstrip(".") for finding in report.blocking]
    if not reasons:
        return found
    reason = "; ".join([found.reason] * bool(found.reason) + reasons)
    return Screening(True, reason, found.distance)


def screen_image(
    slide: Slide,
    stain: Stain | None,
    familiarity: Familiarity | None,
    mpp: float,
    region_px: BoxPx | None = None,
) -> Screening:
    """Screen an open slide.

    Parameters
    ----------
    slide
        A slide without a scale is taken to have the bundle's.
    stain
        What it was given as; None tells H&E from IHC by the colours.
    familiarity
        Of the bundle; None gives quality reasons only.
    mpp
        µm per pixel of the bundle.
    region_px
        Part of level 0 that is looked at; None is the whole slide.

    Raises
    ------
    SlideError
        If the pixels cannot be read.
    """
    scale = slide.mpp or mpp
    if scale > _SCALE_RATIO * mpp:
        return _refused(f"too coarse: {scale:g} µm/px, the bundle reads {mpp:g}")
    if stain is not None:
        try:
            check_stain(slide, stain)
        except SlideError as error:
            return _refused(f"stain not as declared: {error.problem}")
    box = BoxPx.of_shape(slide.shape)
    if region_px is not None:
        box = box.intersect(region_px)
    blocks = _read_blocks(slide, box, mpp / scale)
    if not blocks:
        return _refused("no pixels to look at")
    if min(blocks[0].shape[:2]) < _smallest_px():
        return _refused(
            f"too small: {blocks[0].shape[1]} × {blocks[0].shape[0]} px at the "
            "bundle's scale"
        )
    found = stain or _stain_of(blocks)
    return _judge(blocks, found, familiarity)


def _judge(
    blocks: list[NDArray[np.uint8]], stain: Stain, familiarity: Familiarity | None
) -> Screening:
    import torch

    from napari_her2.models.appearance import appearance
    from napari_her2.models.familiarity import cut_windows, tissue_rank, window_px

    px = window_px(*blocks[0].shape[:2])
    described = []
    with torch.inference_mode():
        for block in blocks:
            if px is None or min(block.shape[:2]) < px:
                continue
            image = torch.from_numpy(block).permute(2, 0, 1)[None].float() / 255
            described.append(appearance(cut_windows(image, px)))
        if px is None or not described:
            return _refused("too small")
        features = torch.cat([one for one, _ in described])
        tissue = torch.cat([one for _, one in described])
        if not bool((tissue_rank(tissue) >= 0).any()):
            return _refused("no tissue")
        distance = math.nan
        if familiarity is not None:
            distance = familiarity.of_windows(stain, px, features, tissue)
    if distance > 1:
        is_blurred = _sharpness(blocks) < _SHARPNESS
        return Screening(
            True,
            f"{UNFAMILIAR} (out of focus)" if is_blurred else UNFAMILIAR,
            distance,
        )
    return Screening(False, "", distance)


def _read_blocks(slide: Slide, box: BoxPx, step: float) -> list[NDArray[np.uint8]]:
    """Read blocks of a box at the bundle's scale; ``step`` level-0 pixels apart.

    A small image is one block; of a large one, the blocks that absorb most light
    among a coarse grid are read, in an order that does not depend on the view.
    """
    height, width = int(box.height / step), int(box.width / step)
    if min(height, width) < 1:
        return []
    if max(height, width) <= 2 * _BLOCK_PX:
        return [_read(slide, box.y0, box.x0, step, (height, width))]
    side = (min(_BLOCK_PX, height), min(_BLOCK_PX, width))
    rows, columns = height // side[0], width // side[1]
    tops = np.linspace(0, height - side[0], max(rows, 1)).astype(int)
    lefts = np.linspace(0, width - side[1], max(columns, 1)).astype(int)
    places = [(int(y), int(x)) for y in tops for x in lefts]
    darkness = [
        _darkness(slide, box.y0 + y * step, box.x0 + x * step, step, side)
        for y, x in _thinned(places)
    ]
    order = np.argsort(-np.array(darkness), kind="stable")[: 2 * MAX_BLOCKS]
    chosen = sorted(order[:: max(1, len(order) // MAX_BLOCKS)].tolist())[:MAX_BLOCKS]
    kept = _thinned(places)
    return [
        _read(slide, box.y0 + kept[i][0] * step, box.x0 + kept[i][1] * step, step, side)
        for i in chosen
    ]


def _thinned(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return at most some hundred places, evenly spread over the list."""
    return places[:: max(1, len(places) // 144)]


def _read(
    slide: Slide, y0: float, x0: float, step: float, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    to_level0 = Affine(((step, 0.0, y0), (0.0, step, x0)))
    return read_mapped(slide, to_level0, shape)


def _darkness(
    slide: Slide, y0: float, x0: float, step: float, side: tuple[int, int]
) -> float:
    coarse = max(side) / _LOOK_PX
    shape = (max(1, int(side[0] / coarse)), max(1, int(side[1] / coarse)))
    image = _read(slide, y0, x0, step * coarse, shape)
    return float(-np.log10(np.maximum(image, 1) / 255).sum(2).clip(0, 2).mean())


def _stain_of(blocks: list[NDArray[np.uint8]]) -> Stain:
    """Tell H&E from IHC by how pink the pinkest tissue is."""
    seen = [stain_colours(block) for block in blocks]
    weight = np.array([one.n_tissue_px for one in seen], float) + 1e-9
    pink = float(np.average([one.pinkness for one in seen], weights=weight))
    return Stain.HE if pink > _PINK else Stain.IHC


_PINK: Final = 0.1


def _sharpness(blocks: list[NDArray[np.uint8]]) -> float:
    """Return the share of variation that neighbouring pixels differ by."""
    grey = [block.astype(np.float32).mean(2) for block in blocks]
    rise = np.mean([np.abs(np.diff(one, axis=1)).mean() for one in grey])
    return float(rise / max(float(np.mean([one.std() for one in grey])), 1e-6))


def _smallest_px() -> int:
    from napari_her2.models.familiarity import WINDOWS_PX

    return min(WINDOWS_PX)


def _refused(reason: str) -> Screening:
    return Screening(True, reason.rstrip("."), math.nan)


def scale_note(path: Path | str, given_mpp: float | None, mpp: float) -> str:
    """Return what must be said of an image whose scale was assumed, else nothing."""
    if given_mpp is not None:
        return ""
    try:
        with open_slide(path) as slide:
            if slide.mpp is not None:
                return ""
    except Her2Error:
        return ""
    return f"scale unknown, taken as the bundle's {mpp:g} µm/px."
