"""Which tiles a run needs, in which order, and which it can leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.inference.grid import Tile, TileGrid

if TYPE_CHECKING:
    from napari_her2.slides.tissue import TissueMask

TISSUE_SHARE = 0.01
"""A tile with less tissue in its core is background and is not computed."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The work of a run.

    ``tissue`` lists the tiles to show, nearest to the point of interest first;
    ``by_region`` those of each region in grid order, the order in which they are
    summed. ``apart`` are tissue tiles that must not be computed, since the slides lie
    apart there; they are in neither.
    """

    tissue: tuple[Tile, ...]
    background: frozenset[Tile]
    by_region: Mapping[str, tuple[Tile, ...]]
    apart: frozenset[Tile]


def plan_tiles(
    grid: TileGrid,
    regions: Sequence[Region],
    tissue: TissueMask | None,
    near_yx_px: tuple[float, float] | None = None,
    is_apart: Callable[[Tile], bool] = lambda _: False,
) -> TilePlan:
    """List the tiles of regions; without a mask every tile counts as tissue.

    ``is_apart`` says of a tile whether the slides lie apart in it.

    Raises
    ------
    UsageError
        If there is no region, two share an id, or one lies outside the slide.
    """
    _check(grid, regions)
    met = {region.region_id: grid.tiles_in(region) for region in regions}
    every = sorted({tile for tiles in met.values() for tile in tiles})
    background = frozenset(tile for tile in every if _is_background(grid, tile, tissue))
    with_tissue = [tile for tile in every if tile not in background]
    apart = frozenset(t for t in with_tissue if is_apart(t))
    wanted = [tile for tile in with_tissue if tile not in apart]
    return TilePlan(
        tuple(grid.nearest_first(wanted, near_yx_px or _middle(regions))),
        background,
        {
            name: tuple(tile for tile in tiles if tile not in background | apart)
            for name, tiles in met.items()
        },
        apart,
    )


def _check(grid: TileGrid, regions: Sequence[Region]) -> None:
    if not regions:
        raise UsageError("There is no region to run on.", "Draw one or use the view.")
    ids = [region.region_id for region in regions]
    if len(set(ids)) < len(ids):
        raise UsageError("Two regions share an id.", "Give each region its own id.")
    slide = BoxPx.of_shape(grid.slide_shape)
    for region in regions:
        if region.overlap_px(slide) == 0:
            raise UsageError(
                f"The region {region.name} lies outside the slide "
                f"({slide.height} x {slide.width} px).",
                "Move it onto the slide.",
            )


def _is_background(grid: TileGrid, tile: Tile, tissue: TissueMask | None) -> bool:
    if tissue is None:
        return False
    return tissue.share(grid.core_box_px(*tile), grid.slide_mpp) < TISSUE_SHARE


def _middle(regions: Sequence[Region]) -> tuple[float, float]:
    boxes = [region.bounds for region in regions]
    return BoxPx(
        min(box.y0 for box in boxes),
        min(box.x0 for box in boxes),
        max(box.y1 for box in boxes),
        max(box.x1 for box in boxes),
    ).center
