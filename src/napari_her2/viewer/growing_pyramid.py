"""A pyramid whose pixels still arrive, in a form napari shows as it grows.

napari reads the last level of a 2D pyramid once and keeps it, for the thumbnail
and for a view that is zoomed out that far (napari#8715). Tiles computed later
would never show there. So the last level given to napari is one that no reader
ever zooms out to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

THUMBNAIL_PX = 48
"""Longest side of the level that napari keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class ThumbnailLevel:
    """Every n-th pixel of a level, array-like of shape (height, width, bands)."""

    level: Any
    step: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, bands)."""
        height, width, bands = self.level.shape
        return -(-height // self.step), -(-width // self.step), bands

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
        height, width, bands = self.shape
        return height * width * bands

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(
        self,
        dtype: DTypeLike | None = None,
        copy: bool | None = None,
    ) -> NDArray[Any]:
        whole = np.array(np.asarray(self.level)[:: self.step, :: self.step])
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        return self.__array__()[key]


def growing_pyramid(levels: Sequence[Any]) -> list[Any]:
    """Return the levels and, below them, a small one for napari to keep."""
    step = -(-max(levels[-1].shape[:2]) // THUMBNAIL_PX)
    if step == 1:
        return list(levels)
    return [*levels, ThumbnailLevel(levels[-1], step)]
