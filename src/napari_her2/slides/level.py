"""One level of a slide: an array-like that reads only what it is asked for."""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_her2.slides.block_cache import BlockCache

MIN_CHUNK_PX = 512
MAX_CHUNK_PX = 1024


class BlockSource(Protocol):
    """Where the pixels of one level come from, block by block, from any thread."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""

    @property
    def block_px(self) -> tuple[int, int]:
        """(height, width) of a whole block."""

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge of the image."""


class Level:
    """Read-only RGB image (H, W, 3) uint8; any thread may read it.

    ``chunks`` is what a viewer should ask for at once: 512 to 1024 px, a
    multiple of the blocks in the file where that is possible.
    """

    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)
    ndim: ClassVar[int] = 3

    def __init__(self, source: BlockSource, cache: BlockCache) -> None:
        self._source = source
        self._cache = cache
        # not id(self): that of a level that is gone may come back
        self._token = object()
        self.shape: tuple[int, int, int] = (*source.shape, 3)
        height, width = (
            min(_chunk_px(block), side)
            for block, side in zip(source.block_px, source.shape, strict=True)
        )
        self.chunks: tuple[int, int, int] = (height, width, 3)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole level, were it in memory."""
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Level(shape={self.shape}, chunks={self.chunks})"

    def read(self, y0: int, x0: int, y1: int, x1: int) -> NDArray[np.uint8]:
        """Return the pixels of a half-open box that lies inside the level."""
        out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        if out.size == 0:
            return out
        height, width = self._source.block_px
        for row in range(y0 // height, -(-y1 // height)):
            top = row * height
            ys = slice(max(y0, top), min(y1, top + height))
            for col in range(x0 // width, -(-x1 // width)):
                left = col * width
                xs = slice(max(x0, left), min(x1, left + width))
                block = self._block(row, col)
                out[_shift(ys, y0), _shift(xs, x0)] = block[
                    _shift(ys, top), _shift(xs, left)
                ]
        return out

    def forget(self) -> None:
        """Give back what is kept decoded of this level."""
        self._cache.forget(self._token)

    def _block(self, row: int, col: int) -> NDArray[np.uint8]:
        return self._cache.get(
            (self._token, row, col), lambda: self._source.read_block(row, col)
        )

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Read like numpy: integers, slices and ``...`` on the three axes."""
        keys = _full_index(index)
        spans, picks = [], []
        for key, length in zip(keys[:2], self.shape, strict=False):
            span, pick = _span(key, length)
            spans.append(span)
            picks.append(pick)
        (y0, y1), (x0, x1) = spans
        picked: NDArray[np.uint8] = self.read(y0, x0, y1, x1)[(*picks, keys[2])]
        return picked

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a level is read from its file; it cannot be shared")
        array = self.read(0, 0, self.shape[0], self.shape[1])
        return array if dtype is None else array.astype(dtype, copy=False)


def _chunk_px(block_px: int) -> int:
    """Return the side of a chunk: whole blocks where they fit into 512–1024."""
    chunk = block_px * -(-MIN_CHUNK_PX // block_px)
    return chunk if chunk <= MAX_CHUNK_PX else MIN_CHUNK_PX


def _shift(span: slice, by: int) -> slice:
    return slice(span.start - by, span.stop - by)


def _full_index(index: Any) -> list[Any]:
    keys = list(index) if isinstance(index, tuple) else [index]
    if any(key is None or isinstance(key, list | np.ndarray) for key in keys):
        raise IndexError("a level takes integers, slices and '...'")
    n_missing = 3 - sum(key is not Ellipsis for key in keys)
    if n_missing < 0 or keys.count(Ellipsis) > 1:
        raise IndexError("a level has three axes")
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    at = keys.index(Ellipsis)
    return [*keys[:at], *[slice(None)] * n_missing, *keys[at + 1 :]]


def _span(key: Any, length: int) -> tuple[tuple[int, int], int | slice]:
    """Return the half-open span to read, and what to pick from it."""
    if not isinstance(key, slice):
        at = operator.index(key)
        if not -length <= at < length:
            raise IndexError(f"index {at} is outside an axis of {length}")
        at %= length
        return (at, at + 1), 0
    wanted = range(length)[key]
    if not wanted:
        return (0, 0), slice(None)
    low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
    return (low, high + 1), slice(None, None, wanted.step)
