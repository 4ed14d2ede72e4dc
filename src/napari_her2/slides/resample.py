"""Read a slide through a map, the same pixel from any request.

A run on a view, on a region and on the whole slide must agree bit for bit. So
the level is chosen from the linear part alone, and each output pixel samples at
a position rounded to 1/4096 px of that level: what rounding error the offset of
a request leaves (some 1e-12 px) is gone before a pixel is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine
from napari_her2.slides.halving import halve
from napari_her2.slides.level import Level
from napari_her2.slides.slide import Slide

_STEPS: Final = 4096
# exact positions such as k/2 must not lie on the border between two steps
_ROUNDING: Final = 0.37
_KNOT_STEP_PX: Final = 16


def read_mapped(
    slide: Slide, to_level0: Affine, shape: tuple[int, int], *, fill: int = 255
) -> NDArray[np.uint8]:
    """Read pixels of a slide as another image sees them.

    Parameters
    ----------
    slide
        The open slide.
    to_level0
        Maps output coordinates (y, x), where the centre of pixel (i, j) is
        (i + 0.5, j + 0.5), to level-0 coordinates of the slide.
    shape
        (height, width) of the output in pixels.
    fill
        Value of the pixels whose centre lies outside the slide.

    Returns
    -------
    NDArray[np.uint8]
        Shape (height, width, 3). A plain copy where the map is a whole-pixel
        shift of a level; averaged where it shrinks; else bilinear.
    """
    grid = _choose_grid(slide, to_level0)
    to_grid = to_level0.then(
        Affine(((1 / grid.factor_y, 0.0, 0.0), (0.0, 1 / grid.factor_x, 0.0)))
    )
    (a, b, t), (c, d, u) = to_grid.rows
    if b == 0 and c == 0 and a > 0 and d > 0:
        ys, xs = (_axis(a, t, shape[0]), _axis(d, u, shape[1]))
        return _read_scaled(grid, ys, xs, (a, d), fill)
    return _read_affine(grid, to_grid, shape, fill)


def read_bent(
    slide: Slide,
    to_level0: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shape: tuple[int, int],
    *,
    fill: int = 255,
) -> NDArray[np.uint8]:
    """Read pixels of a slide through a smooth map that is not affine.

    Parameters
    ----------
    to_level0
        As in :func:`read_mapped`, for points (..., 2). It is asked at every 16th
        pixel; between them the map counts as linear.
    shape, fill
        As in :func:`read_mapped`.

    Returns
    -------
    NDArray[np.uint8]
        Shape (height, width, 3). A request gives the same pixels every time; one
        that begins elsewhere may differ where the map bends within 16 pixels.
    """
    n_rows, n_columns = (-(-side // _KNOT_STEP_PX) + 1 for side in shape)
    knots = np.stack(
        np.meshgrid(
            np.arange(n_rows) * float(_KNOT_STEP_PX),
            np.arange(n_columns) * float(_KNOT_STEP_PX),
            indexing="ij",
        ),
        -1,
    )
    at = to_level0(knots)
    middle = np.array([n_rows // 2, n_columns // 2])
    here = np.minimum(middle, np.array([n_rows, n_columns]) - 2)
    y, x = here.tolist()
    linear = np.stack([at[y + 1, x] - at[y, x], at[y, x + 1] - at[y, x]], 1)
    grid = _choose_grid(
        slide,
        Affine.from_matrix(np.column_stack([linear / _KNOT_STEP_PX, at[y, x]])),
    )
    rows, columns = (_between(side) for side in shape)
    ys, xs = (
        rows @ (at[..., axis] / factor) @ columns.T
        for axis, factor in ((0, grid.factor_y), (1, grid.factor_x))
    )
    return _gather(grid, ys, xs, fill)


def _between(length: int) -> NDArray[np.float64]:
    """Return the weights (length, knots) of the knots in every pixel's centre."""
    place = (np.arange(length) + 0.5) / _KNOT_STEP_PX
    knots = np.arange(-(-length // _KNOT_STEP_PX) + 1)
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(place[:, None] - knots), 0)
    return weights


@dataclass(frozen=True, slots=True)
class _Grid:
    """A level, halved in memory some times more, as the place to sample."""

    level: Level
    n_halvings: int
    factor_y: float
    factor_x: float
    extent: tuple[float, float]
    """Size of the whole slide in pixels of the grid; a level may lack a rest."""

    @property
    def shape(self) -> tuple[int, int]:
        step = 1 << self.n_halvings
        return -(-self.level.shape[0] // step), -(-self.level.shape[1] // step)

    def read(self, y0: int, x0: int, y1: int, x1: int) -> NDArray[np.uint8]:
        step = 1 << self.n_halvings
        image = self.level.read(
            y0 * step,
            x0 * step,
            min(y1 * step, self.level.shape[0]),
            min(x1 * step, self.level.shape[1]),
        )
        for _ in range(self.n_halvings):
            image = halve(image)
        return image


def _choose_grid(slide: Slide, to_level0: Affine) -> _Grid:
    """Return the coarsest grid that is not coarser than the output."""
    scale = to_level0.mean_scale * (1 + 1e-9)
    index = max(
        i for i in range(len(slide.levels)) if slide.downsample(i) <= max(scale, 1)
    )
    level = slide.levels[index]
    factor = slide.downsample(index)
    n_halvings = max(0, math.floor(math.log2(scale / factor)))
    factors = [factor, factor]
    if not factor.is_integer():
        factors = [
            full / side for full, side in zip(slide.shape, level.shape, strict=False)
        ]
    factor_y, factor_x = (one * (1 << n_halvings) for one in factors)
    extent = (slide.shape[0] / factor_y, slide.shape[1] / factor_x)
    return _Grid(level, n_halvings, factor_y, factor_x, extent)


def _rounded(positions: NDArray[Any]) -> NDArray[np.float64]:
    return np.floor(positions * _STEPS + _ROUNDING) / _STEPS


def _axis(scale: float, offset: float, length: int) -> NDArray[np.float64]:
    """Return where the output's pixel centres lie on one axis of the grid."""
    return _rounded(scale * (np.arange(length) + 0.5) + offset)


def _read_scaled(
    grid: _Grid,
    ys: NDArray[np.float64],
    xs: NDArray[np.float64],
    scales: tuple[float, float],
    fill: int,
) -> NDArray[np.uint8]:
    inside_y, inside_x = (
        np.flatnonzero((at >= 0) & (at < side))
        for at, side in zip((ys, xs), grid.extent, strict=True)
    )
    shape = (len(ys), len(xs), 3)
    if len(inside_y) == 0 or len(inside_x) == 0:
        return np.full(shape, fill, np.uint8)
    rows = _Taps(ys[inside_y], scales[0], grid.shape[0])
    cols = _Taps(xs[inside_x], scales[1], grid.shape[1])
    image = grid.read(rows.start, cols.start, rows.stop, cols.stop)
    if not (rows.is_slice and cols.is_slice):
        sampled = cols.apply(rows.apply(image.astype(np.float32), 0), 1)
        np.rint(sampled, out=sampled)
        image = sampled.astype(np.uint8)
    if image.shape == shape:
        return image
    out = np.full(shape, fill, np.uint8)
    out[inside_y[0] : inside_y[-1] + 1, inside_x[0] : inside_x[-1] + 1] = image
    return out


class _Taps:
    """Which source pixels make an output pixel on one axis, and their weights.

    A triangle as wide as the output pixel, at least two source pixels: bilinear
    where the image grows, an average where it shrinks.
    """

    def __init__(
        self, positions: NDArray[np.float64], scale: float, length: int
    ) -> None:
        reach = max(1.0, float(scale))
        reach = reach if reach - 1 > 1e-6 else 1.0
        centres = positions - 0.5
        first = np.floor(centres - reach).astype(np.int64) + 1
        n_taps = math.ceil(2 * reach)
        index = first[:, None] + np.arange(n_taps)
        weights = np.maximum(1 - np.abs(index - centres[:, None]) / reach, 0)
        weights /= weights.sum(axis=1, keepdims=True)
        index = np.clip(index, 0, length - 1)
        used = weights > 0
        self.start = int(index[used].min())
        self.stop = int(index[used].max()) + 1
        # a weight of zero must not widen what is read
        self._index = np.clip(index - self.start, 0, self.stop - self.start - 1)
        self._weights = weights.astype(np.float32)
        self.is_slice = bool(
            reach == 1.0
            and np.all(centres == np.floor(centres))
            and np.all(np.diff(centres) == 1)
            and self.stop - self.start == len(centres)
        )

    def apply(self, image: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """Sum the weighted source pixels along an axis."""
        shape = [1, 1, 1]
        shape[axis] = -1
        total = np.float32(0)
        for index, weights in zip(self._index.T, self._weights.T, strict=True):
            total = total + np.take(image, index, axis=axis) * weights.reshape(shape)
        return np.asarray(total)


def _read_affine(
    grid: _Grid, to_grid: Affine, shape: tuple[int, int], fill: int
) -> NDArray[np.uint8]:
    (a, b, t), (c, d, u) = to_grid.rows
    i = np.arange(shape[0])[:, None] + 0.5
    j = np.arange(shape[1])[None, :] + 0.5
    return _gather(grid, a * i + b * j + t, c * i + d * j + u, fill)


def _gather(
    grid: _Grid, ys: NDArray[np.float64], xs: NDArray[np.float64], fill: int
) -> NDArray[np.uint8]:
    """Return the pixels at places of the grid, bilinear; ``fill`` off the slide."""
    out = np.full((*ys.shape, 3), fill, np.uint8)
    ys, xs = _rounded(ys), _rounded(xs)
    inside = (ys >= 0) & (ys < grid.extent[0]) & (xs >= 0) & (xs < grid.extent[1])
    if not inside.any():
        return out
    ys, xs = ys[inside] - 0.5, xs[inside] - 0.5
    top, left = np.floor(ys).astype(np.int64), np.floor(xs).astype(np.int64)
    down, right = (ys - top).astype(np.float32), (xs - left).astype(np.float32)
    height, width = grid.shape
    rows = [np.clip(top + k, 0, height - 1) for k in (0, 1)]
    cols = [np.clip(left + k, 0, width - 1) for k in (0, 1)]
    y0, x0 = int(rows[0].min()), int(cols[0].min())
    y1, x1 = int(rows[1].max()) + 1, int(cols[1].max()) + 1
    image = grid.read(y0, x0, y1, x1)
    # one 32-bit word per pixel: a gather of words is three times as fast
    words = np.zeros((*image.shape[:2], 4), np.uint8)
    words[..., :3] = image
    packed = words.view(np.uint32)[..., 0].ravel()
    total = np.zeros((len(ys), 3), np.float32)
    for row, row_weight in zip(rows, (1 - down, down), strict=True):
        start = (row - y0) * (x1 - x0) - x0
        for col, weight in zip(cols, (1 - right, right), strict=True):
            corner = packed[start + col].view(np.uint8).reshape(-1, 4)[:, :3]
            total += corner * (row_weight * weight)[:, None]
    out[inside] = np.rint(total).astype(np.uint8)
    return out
