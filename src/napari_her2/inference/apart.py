"""Tiles that no result of both stains may rest on: the slides lie apart there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from napari_her2.core.local_light import error_within
from napari_her2.core.records import Evidence, LeftOut
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits, Light, Registration
from napari_her2.inference.grid import Tile
from napari_her2.inference.reading import TileReader


class Apart:
    """Tells where the two slides that a run reads lie apart.

    Parameters
    ----------
    reader
        Of the run; where it reads one slide nothing lies apart.
    registration
        With the map of its error, if there is one.
    limits
        What is beyond the red one lies apart.
    """

    def __init__(
        self, reader: TileReader, registration: Registration, limits: ErrorLimits
    ) -> None:
        self._reader = reader
        self._error = registration.error if len(reader.slides) == 2 else None
        self._limits = limits

    def is_apart(self, tile: Tile) -> bool:
        """Whether both stains of a tile would be read together, but lie apart."""
        box = self._reader.grid.core_box_px(*tile).to_um(self._reader.grid.slide_mpp)
        outline_um = (
            (box.y0, box.x0),
            (box.y0, box.x1),
            (box.y1, box.x1),
            (box.y1, box.x0),
        )
        found = error_within(self._error, outline_um, self._limits)
        if found is None or found[1] is not Light.RED:
            return False
        return self._reader.evidence_of(tile) is Evidence.BOTH

    def left_out(
        self, region: Region, counted: Iterable[Tile], apart: Collection[Tile]
    ) -> LeftOut | None:
        """Return what a region lacks, None where it lacks nothing.

        Parameters
        ----------
        counted
            Its tiles that take part.
        apart
            All tiles that do not, also those of other regions.
        """
        lacking = [tile for tile in self._reader.grid.tiles_in(region) if tile in apart]
        if not lacking:
            return None
        without, rest = (self._area_px(region, tiles) for tiles in (lacking, counted))
        return LeftOut(without / (without + rest), len(lacking), self._limits.red_um)

    def _area_px(self, region: Region, tiles: Iterable[Tile]) -> float:
        boxes = (self._reader.grid.core_box_px(*tile) for tile in tiles)
        return math.fsum(region.overlap_px(box) for box in boxes)
