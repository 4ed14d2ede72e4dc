"""Read a slide at a coarse scale by averaging, in little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx
from napari_her2.slides.slide import Slide

_STRIP_PX = 2048


def read_averaged(
    slide: Slide, pixel_px: float, box_px: BoxPx | None = None
) -> tuple[NDArray[np.uint8], float]:
    """Read a box, the whole slide by default, as coarsely as is asked for or finer.

    Parameters
    ----------
    slide
        Any.
    pixel_px
        Level-0 pixels per wanted pixel, 1 or more.
    box_px
        In level-0 pixels.

    Returns
    -------
    image, pixel_px
        RGB (h, w, 3), and how many level-0 pixels its pixels really span. What is
        left over at the right and lower edge is cut off.
    """
    level = max(
        i
        for i in range(len(slide.levels))
        if i == 0 or slide.downsample(i) <= pixel_px * 1.01
    )
    down = slide.downsample(level)
    by = max(1, int(pixel_px / down + 0.01))
    array = slide.levels[level]
    box = BoxPx.of_shape(slide.shape) if box_px is None else box_px
    y0, x0 = int(box.y0 / down), int(box.x0 / down)
    rows = min(int(box.height / down + 0.5), array.shape[0] - y0) // by
    cols = min(int(box.width / down + 0.5), array.shape[1] - x0) // by
    if rows < 1 or cols < 1:
        return np.empty((max(rows, 0), max(cols, 0), 3), np.uint8), by * down
    out = np.empty((rows, cols, 3), np.uint8)
    step = max(1, _STRIP_PX // by)
    for top in range(0, rows, step):
        n_rows = min(step, rows - top)
        first = y0 + top * by
        strip = array.read(first, x0, first + n_rows * by, x0 + cols * by)
        if by == 1:
            out[top : top + n_rows] = strip
            continue
        parts = strip.reshape(n_rows, by, cols, by, 3)
        total = np.zeros((n_rows, cols, 3), np.uint32)
        for dy in range(by):
            for dx in range(by):
                total += parts[:, dy, :, dx]
        out[top : top + n_rows] = (total + by * by // 2) // (by * by)
    return out, by * down
