"""Images that are stored turned or mirrored, seen upright.

Orientations are the numbers 1 to 8 of TIFF and EXIF: they say which side of the
picture the first stored row and the first stored column are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.level import BlockSource, Level

UPRIGHT: Final = 1
ORIENTATIONS: Final = range(1, 9)
_ROWS_ARE_COLUMNS: Final = (5, 6, 7, 8)
_FROM_THE_BOTTOM: Final = (3, 4, 7, 8)
_FROM_THE_RIGHT: Final = (2, 3, 6, 7)


def upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return a view (h, w, c) of a stored image that stands upright."""
    if orientation in _ROWS_ARE_COLUMNS:
        image = image.transpose(1, 0, 2)
    if orientation in _FROM_THE_BOTTOM:
        image = image[::-1]
    if orientation in _FROM_THE_RIGHT:
        image = image[:, ::-1]
    return image


class UprightBlocks:
    """Blocks of a level that is stored in another orientation.

    Counted from the opposite side they begin elsewhere than the stored ones, so that
    one is put together of up to four.

    Parameters
    ----------
    stored
        The level as the file has it.
    orientation
        1 to 8.
    cache
        Where stored blocks are kept that the next one needs again.
    """

    def __init__(
        self, stored: BlockSource, orientation: int, cache: BlockCache
    ) -> None:
        self._stored = Level(stored, cache)
        self._orientation = orientation
        self.shape: tuple[int, int] = self._turned(stored.shape)
        self.block_px: tuple[int, int] = self._turned(stored.block_px)

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge.

        Raises
        ------
        SlideError
            If a stored block cannot be read or decoded.
        """
        starts = row * self.block_px[0], col * self.block_px[1]
        spans = [
            (start, min(start + block, side))
            for start, block, side in zip(
                starts, self.block_px, self.shape, strict=True
            )
        ]
        for axis, flipped in enumerate((_FROM_THE_BOTTOM, _FROM_THE_RIGHT)):
            if self._orientation in flipped:
                (first, last), side = spans[axis], self.shape[axis]
                spans[axis] = side - last, side - first
        if self._orientation in _ROWS_ARE_COLUMNS:
            spans.reverse()
        (y0, y1), (x0, x1) = spans
        image = self._stored.read(y0, x0, y1, x1)
        return np.ascontiguousarray(upright(image, self._orientation))

    def _turned(self, sides: tuple[int, int]) -> tuple[int, int]:
        height, width = sides
        is_turned = self._orientation in _ROWS_ARE_COLUMNS
        return (width, height) if is_turned else (height, width)
