"""Levels that a file does not have: halved from the one above, on demand.

A built block costs the decoding of all level-0 pixels below it, so it is worth
keeping; it is kept in an unnamed temporary file, not in memory.
"""

from __future__ import annotations

import math
import tempfile
import threading
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.slides.halving import halve, halved_shape
from napari_her2.slides.level import Level

_BLOCK_PX: Final = 512


class BlockScratch:
    """Blocks put aside in a temporary file that goes when it is closed.

    A full disk is no error: the block is then computed again next time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._places: dict[tuple[int, int, int], int] = {}
        self._end = 0
        self._is_closed = False

    def load(
        self, key: tuple[int, int, int], shape: tuple[int, ...]
    ) -> NDArray[np.uint8] | None:
        """Return a block that was kept, None where there is none."""
        with self._lock:
            place = self._places.get(key)
            if place is None or self._file is None:
                return None
            try:
                self._file.seek(place)
                data = self._file.read(math.prod(shape))
            except OSError:
                return None
        if len(data) != math.prod(shape):
            return None
        return np.frombuffer(data, np.uint8).reshape(shape)

    def keep(self, key: tuple[int, int, int], block: NDArray[np.uint8]) -> None:
        """Put a block aside."""
        with self._lock:
            if self._is_closed:
                return
            try:
                if self._file is None:
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115
                self._file.seek(self._end)
                self._file.write(block.tobytes())
                self._file.flush()
            except OSError:
                return
            self._places[key] = self._end
            self._end += block.nbytes

    def close(self) -> None:
        """Give the disk space back."""
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()
                self._file = None


class HalvedBlocks:
    """The level below ``parent``: each pixel the mean of 2 x 2 of its pixels."""

    def __init__(self, parent: Level, index: int, scratch: BlockScratch) -> None:
        self._parent = parent
        self._index = index
        self._scratch = scratch
        self.shape = halved_shape(parent.shape[:2])
        self.block_px = (_BLOCK_PX, _BLOCK_PX)

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block, from the scratch file or from the parent."""
        y0, x0 = row * _BLOCK_PX, col * _BLOCK_PX
        y1 = min(y0 + _BLOCK_PX, self.shape[0])
        x1 = min(x0 + _BLOCK_PX, self.shape[1])
        key = (self._index, row, col)
        block = self._scratch.load(key, (y1 - y0, x1 - x0, 3))
        if block is None:
            height, width = self._parent.shape[:2]
            block = halve(
                self._parent.read(
                    2 * y0, 2 * x0, min(2 * y1, height), min(2 * x1, width)
                )
            )
            self._scratch.keep(key, block)
        return block
