"""The synthetic IHC as napari reads it: lazy RGBA levels over the result store.

Pixels of a tile that is not computed are transparent, so that nothing is shown
where nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_her2.inference.result import TileState
from napari_her2.inference.tile_array import TileArray

Key = int | slice | EllipsisType


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticLevel:
    """One level, array-like of shape (height, width, 4), uint8 RGBA.

    Slices are read from disk when asked for, from any thread. ``pixels`` is the
    stored array (3, height, width) with one chunk per tile; ``state`` the live
    tile states (rows, columns).
    """

    pixels: TileArray
    state: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 4)."""
        return self.pixels.shape[1], self.pixels.shape[2], 4

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """3."""
        return 3

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> tuple[int, int, int]:
        """A block worth reading at once: whole tiles, about 512 to 1024 px."""
        side = self.pixels.side
        block = side * max(1, round(704 / side))
        return min(block, self.shape[0]), min(block, self.shape[1]), 4

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(
        self,
        dtype: DTypeLike | None = None,
        copy: bool | None = None,
    ) -> NDArray[Any]:
        whole = self._read(0, self.shape[0], 0, self.shape[1])
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Key | tuple[Key, ...]) -> NDArray[np.uint8]:
        keys = _expand(key)
        (y0, y1, in_y), (x0, x1, in_x) = (
            _span(part, length)
            for part, length in zip(keys[:2], self.shape[:2], strict=True)
        )
        part: NDArray[np.uint8] = self._read(y0, y1, x0, x1)[in_y, in_x]
        return part[..., keys[2]]

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        out = np.zeros((max(0, y1 - y0), max(0, x1 - x0), 4), np.uint8)
        if out.size == 0:
            return out
        side = self.pixels.side
        rows = range(y0 // side, -(-y1 // side))
        cols = range(x0 // side, -(-x1 // side))
        state = self.state[rows.start : rows.stop, cols.start : cols.stop]
        for i, j in np.argwhere(state >= TileState.BOTH).tolist():
            row, col = rows[i], cols[j]
            chunk = self.pixels.read(row, col)
            if chunk is None:
                continue
            top, left = row * side, col * side
            a0, a1 = max(y0, top), min(y1, top + side)
            b0, b1 = max(x0, left), min(x1, left + side)
            into = out[a0 - y0 : a1 - y0, b0 - x0 : b1 - x0]
            part = chunk[:, a0 - top : a1 - top, b0 - left : b1 - left]
            for band in range(3):
                into[..., band] = part[band]
            into[..., 3] = 255
        return out


def _expand(key: Key | tuple[Key, ...]) -> tuple[int | slice, int | slice, int | slice]:
    """Write out an index in full: three parts, no ellipsis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * (4 - len(keys))
    keys += [slice(None)] * (3 - len(keys))
    y, x, band = keys
    if isinstance(y, EllipsisType) or isinstance(x, EllipsisType):
        raise IndexError("an index can hold one ellipsis")
    if isinstance(band, EllipsisType):
        raise IndexError("an index can hold one ellipsis")
    return y, x, band


def _span(key: int | slice, length: int) -> tuple[int, int, int | slice]:
    """Return the first and last element to read, and the index within them."""
    if not isinstance(key, slice):
        index = int(key)
        if not -length <= index < length:
            raise IndexError(f"index {index} is outside 0..{length}")
        return index % length, index % length + 1, 0
    start, stop, step = key.indices(length)
    if step < 0:
        raise IndexError("levels are read forwards: the step must be positive")
    return start, max(start, stop), slice(None, None, step)
