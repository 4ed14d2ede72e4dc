"""A slide of any size: round islands of textured tissue on glass.

Tiles repeat, so that 8 gigapixels are written in seconds; the file is as large
and as many-tiled as a real one, and its levels belong together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
import tifffile
from engine_slides import BLOCK_PX, texture
from numpy.typing import NDArray

from napari_her2.slides.halving import halve, pyramid_shapes

TILE_PX: Final = 512
ISLANDS: Final = ((0.30, 0.28, 0.16), (0.62, 0.66, 0.20))
"""Middle (y, x) and radius of each island, as shares of height, width, height."""


class _Painter:
    """Tiles of every level of one slide."""

    def __init__(self, shape: tuple[int, int]) -> None:
        height, width = shape
        self._islands = [(y * height, x * width, r * height) for y, x, r in ISLANDS]
        noise = np.random.default_rng(1).normal(0, 1.5, (TILE_PX, TILE_PX, 3))
        self._glass = (np.array([240, 239, 241]) + noise).astype(np.uint8)

    @cache  # noqa: B019 - a painter lives as long as the file is written
    def _texture(self, level: int) -> NDArray[np.uint8]:
        image = texture()
        for _ in range(min(level, int(math.log2(BLOCK_PX)))):
            image = halve(image)
        times = -(-TILE_PX // len(image))
        return np.tile(image, (times, times, 1))

    @cache  # noqa: B019
    def _encoded(self, level: int, corner: tuple[int, int] | None) -> bytes:
        if corner is None:
            return _jpeg(self._glass)
        y, x = corner
        return _jpeg(self._texture(level)[y : y + TILE_PX, x : x + TILE_PX])

    def tile(self, level: int, row: int, col: int) -> bytes:
        """Return one encoded tile."""
        full = 1 << level
        ys = (np.arange(TILE_PX) + row * TILE_PX) * full
        xs = (np.arange(TILE_PX) + col * TILE_PX) * full
        reach = math.hypot(TILE_PX, TILE_PX) * full / 2
        period = len(self._texture(level))
        corner = (row * TILE_PX % period, col * TILE_PX % period)
        mixed = []
        for y, x, radius in self._islands:
            away = math.hypot(ys[TILE_PX // 2] - y, xs[TILE_PX // 2] - x)
            if away + reach < radius:
                return self._encoded(level, corner)
            if away - reach < radius:
                mixed.append((y, x, radius))
        if not mixed:
            return self._encoded(level, None)
        image = self._glass.copy()
        for y, x, radius in mixed:
            inside = (ys[:, None] - y) ** 2 + (xs - x) ** 2 < radius**2
            top, left = corner
            part = self._texture(level)[top : top + TILE_PX, left : left + TILE_PX]
            image[inside] = part[inside]
        return _jpeg(image)

    def tiles(self, level: int, shape: tuple[int, int]) -> Iterator[bytes]:
        """Yield the tiles of a level, row by row."""
        for row in range(-(-shape[0] // TILE_PX)):
            for col in range(-(-shape[1] // TILE_PX)):
                yield self.tile(level, row, col)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(image),
            level=80,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling="420",
        )
    )


def write_virtual_slide(path: Path, shape: tuple[int, int], mpp: float) -> Path:
    """Write a pyramidal BigTIFF of (height, width) px, if it is not there yet."""
    if path.exists():
        return path
    painter = _Painter(shape)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for level, side in enumerate(pyramid_shapes(shape)):
            per_cm = 1e4 / (mpp * 2**level)
            writer.write(
                painter.tiles(level, side),
                shape=(*side, 3),
                dtype="uint8",
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                subfiletype=1 if level else 0,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path
