"""The tile grid of a slide: where results live, whatever the view.

The grid is anchored at the corner of level-0 pixel (0, 0) and counts in pixels
of the model's own µm/px. A view only chooses which tiles; what a tile holds
depends on the slide, the model and the tile's place alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.region import Region

Tile = tuple[int, int]
"""(row, column) of a tile in the grid."""


def useful_share(core_px: int, halo_px: int) -> float:
    """Return the share of computed pixels that are kept, core² / (core + 2 halo)².

    Examples
    --------
    >>> round(useful_share(704, 64), 3)
    0.716
    """
    return (core_px / (core_px + 2 * halo_px)) ** 2


@dataclass(frozen=True)
class TileGrid:
    """Square tiles that partition a slide at the model's resolution.

    Parameters
    ----------
    slide_shape
        (height, width) of level 0 in pixels.
    slide_mpp, model_mpp
        µm per pixel of level 0 and of the model.
    core_px, halo_px
        Side of the kept part and width of the margin, in model pixels.
    """

    slide_shape: tuple[int, int]
    slide_mpp: float
    model_mpp: float
    core_px: int
    halo_px: int

    def __post_init__(self) -> None:
        if self.core_px * self.px_per_model_px < 1:
            raise ValueError("a tile must cover at least one pixel of the slide")

    @property
    def px_per_model_px(self) -> float:
        """Level-0 pixels per model pixel."""
        return self.model_mpp / self.slide_mpp

    @property
    def tile_px(self) -> int:
        """Side of what the network sees, in model pixels."""
        return self.core_px + 2 * self.halo_px

    @cached_property
    def row_edges(self) -> NDArray[np.int64]:
        """Level-0 y of the tile borders, shape (n_rows + 1,)."""
        return self._edges(self.slide_shape[0])

    @cached_property
    def col_edges(self) -> NDArray[np.int64]:
        """Level-0 x of the tile borders, shape (n_cols + 1,)."""
        return self._edges(self.slide_shape[1])

    @property
    def n_rows(self) -> int:
        """Number of tile rows."""
        return len(self.row_edges) - 1

    @property
    def n_cols(self) -> int:
        """Number of tile columns."""
        return len(self.col_edges) - 1

    @property
    def model_shape(self) -> tuple[int, int]:
        """(height, width) of the slide in model pixels, partly covered ones too."""
        height, width = (
            min(math.ceil(side / self.px_per_model_px - 1e-6), count * self.core_px)
            for side, count in zip(
                self.slide_shape, (self.n_rows, self.n_cols), strict=True
            )
        )
        return height, width

    def core_box_px(self, row: int, col: int) -> BoxPx:
        """Return the kept part of a tile in level-0 pixels, cropped at the slide."""
        return BoxPx(
            int(self.row_edges[row]),
            int(self.col_edges[col]),
            int(self.row_edges[row + 1]),
            int(self.col_edges[col + 1]),
        )

    def to_level0(self, row: int, col: int) -> Affine:
        """Return the map from a tile's pixels (halo included) to level-0 pixels.

        It is derived from the absolute index of the tile's first model pixel, so
        that every way to reach a tile reads the same pixels.
        """
        scale = self.px_per_model_px
        first_y, first_x = (index * self.core_px - self.halo_px for index in (row, col))
        return Affine(((scale, 0.0, first_y * scale), (0.0, scale, first_x * scale)))

    def tiles_in(self, area: BoxPx | Region) -> list[Tile]:
        """Return the tiles that share area with a box or a region, row by row."""
        box = (area if isinstance(area, BoxPx) else area.bounds).intersect(
            BoxPx.of_shape(self.slide_shape)
        )
        if box.is_empty:
            return []
        rows = _indices(self.row_edges, box.y0, box.y1)
        cols = _indices(self.col_edges, box.x0, box.x1)
        tiles = [(row, col) for row in rows for col in cols]
        if isinstance(area, Region):
            return [t for t in tiles if area.overlap_px(self.core_box_px(*t)) > 0]
        return tiles

    def nearest_first(
        self, tiles: Iterable[Tile], near_yx_px: tuple[float, float]
    ) -> list[Tile]:
        """Return tiles by the distance of their centre to a level-0 point."""

        def distance(tile: Tile) -> tuple[float, int, int]:
            y, x = self.core_box_px(*tile).center
            return (y - near_yx_px[0]) ** 2 + (x - near_yx_px[1]) ** 2, *tile

        return sorted(tiles, key=distance)

    def _edges(self, side_px: int) -> NDArray[np.int64]:
        # Rounded borders keep boxes whole; a last sliver that rounds to nothing
        # belongs to its neighbour.
        step = self.core_px * self.px_per_model_px
        count = math.ceil(side_px / step) + 1
        edges = np.floor(np.arange(count + 1) * step + 0.5).astype(np.int64)
        inner = edges[edges < side_px]
        return np.append(inner, side_px)


def _indices(edges: NDArray[np.int64], start: int, stop: int) -> range:
    first = int(np.searchsorted(edges, start, side="right")) - 1
    last = int(np.searchsorted(edges, stop, side="left"))
    return range(first, last)
