"""Regions as a Shapes layer.

The list of regions lives in the session; the layer is a view of it that also
lets the reader draw.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.viewer.palette import EXCLUDED, REGION
from napari_her2.viewer.placement import Placement
from napari_her2.viewer.roles import Role, tag

ID_COLUMN = "region_id"
NAME_COLUMN = "name"
NAME_PX = 11
SHADE = "30"
"""How opaque the inside of an excluded area is, two hexadecimal digits."""

ELLIPSE_CORNERS = 48
SQUARE_MM_UM = 1000.0
_DONE = ("added", "changed", "removed")


class RegionLayer:
    """Keeps one Shapes layer and a list of regions equal.

    Parameters
    ----------
    viewer
        Where the layer is added.
    placement, case_id
        Scale of the case and its name.
    on_drawn
        Called with all regions after the reader drew, moved or removed one.
    on_refused
        Called with a sentence when a shape cannot be a region.
    """

    def __init__(
        self,
        viewer: Any,
        placement: Placement,
        case_id: str,
        on_drawn: Callable[[tuple[Region, ...]], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._on_drawn = on_drawn
        self._on_refused = on_refused
        self._regions: tuple[Region, ...] = ()
        self._is_drawing_state = False
        self._is_one_shot = False
        self._is_excluding = False
        self.layer = viewer.add_shapes(
            ndim=2,
            name="Regions",
            features=_features(()),
            text={
                "string": f"{{{NAME_COLUMN}}}",
                "color": REGION,
                "size": NAME_PX,
                "anchor": "upper_left",
            },
            edge_color=REGION,
            face_color="transparent",
            opacity=1.0,
            metadata=tag(Role.REGIONS, case_id),
            **placement.outline(),
        )
        self._write_features(())
        self.layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Stop following the layer."""
        self.layer.events.data.disconnect(self._on_data)

    def set_line(self, width_px: float) -> None:
        """Set the width of all outlines in level-0 pixels."""
        set_line(self.layer, width_px)

    def start_rectangle(self, *, is_excluded: bool = False) -> None:
        """Let the next drag on the canvas draw a rectangle."""
        self._is_one_shot = True
        self._is_excluding = is_excluded
        self.layer.visible = True
        self.layer.current_edge_color = EXCLUDED if is_excluded else REGION
        self.layer.mode = "add_rectangle"

    def end_one_shot(self) -> bool:
        """Go back to moving the view after the rectangle that was asked for."""
        if self._is_one_shot:
            self.layer.selected_data = set()
            self.layer.mode = "pan_zoom"
        was_one_shot, self._is_one_shot = self._is_one_shot, False
        self._is_excluding = False
        return was_one_shot

    def show(self, regions: tuple[Region, ...]) -> None:
        """Draw the session's regions, unless the layer shows them already."""
        self._regions = regions
        if self._is_drawing_state:
            return
        self._is_drawing_state = True
        if self._shows(regions):
            try:
                self._paint(regions)
            finally:
                self._is_drawing_state = False
            return
        try:
            self.layer.selected_data = set()
            self.layer.data = []
            if regions:
                self.layer.add(
                    [np.array(region.vertices_yx) for region in regions],
                    shape_type=[_shape_type(region) for region in regions],
                )
            self._paint(regions)
        finally:
            self._is_drawing_state = False

    def _paint(self, regions: tuple[Region, ...]) -> None:
        """Write the names, and shade what is excluded."""
        self._write_features(regions)
        edges = [EXCLUDED if region.is_excluded else REGION for region in regions]
        faces = [
            f"{EXCLUDED}{SHADE}" if region.is_excluded else "transparent"
            for region in regions
        ]
        if regions:
            self.layer.edge_color, self.layer.face_color = edges, faces

    def _shows(self, regions: tuple[Region, ...]) -> bool:
        ids = self._ids()
        return (
            len(ids) == len(regions)
            and all(a == b.region_id for a, b in zip(ids, regions, strict=True))
            and all(
                np.array_equal(outline, region.vertices_yx)
                for outline, region in zip(self._outlines(), regions, strict=True)
            )
        )

    def _on_data(self, event: Any) -> None:
        if self._is_drawing_state or str(event.action) not in _DONE:
            return
        self._is_drawing_state = True
        try:
            regions = self._read()
            self._write_features(regions)
        finally:
            self._is_drawing_state = False
        if regions != self._regions:
            self._on_drawn(regions)

    def _read(self) -> tuple[Region, ...]:
        """Turn the shapes into regions, giving new ones a name."""
        before = {region.region_id: region for region in self._regions}
        regions: list[Region] = []
        taken: set[str] = set()
        names = {region.name for region in self._regions}
        is_excluding = self._is_excluding
        for region_id, outline in zip(self._ids(), self._outlines(), strict=True):
            known = before.get(region_id) if region_id not in taken else None
            identity = known.region_id if known else new_region_id()
            kind = "Excluded" if is_excluding else "Region"
            name = known.name if known else next_name(names, kind)
            is_excluded = known.is_excluded if known else is_excluding
            try:
                region = Region.from_points(identity, name, outline.tolist())
                regions.append(replace(region, is_excluded=is_excluded))
            except ValueError as error:
                self._on_refused(f"This shape is no region: {error}.")
                continue
            taken.add(identity)
            names.add(name)
        return tuple(regions)

    def _ids(self) -> list[str]:
        return [str(value) for value in self.layer.features.get(ID_COLUMN, ())]

    def _outlines(self) -> list[NDArray[np.float64]]:
        kinds = self.layer.shape_type
        return [
            _ellipse(corners) if kind == "ellipse" else np.asarray(corners, float)
            for corners, kind in zip(self.layer.data, kinds, strict=True)
        ]

    def _write_features(self, regions: Sequence[Region]) -> None:
        if len(regions) == len(self.layer.data):
            self.layer.features = _features(regions)
            self.layer.feature_defaults = {ID_COLUMN: [""], NAME_COLUMN: [""]}


def _features(regions: Sequence[Region]) -> dict[str, NDArray[np.object_]]:
    columns = {
        ID_COLUMN: [region.region_id for region in regions],
        NAME_COLUMN: [region.name for region in regions],
    }
    return {name: np.array(values, dtype=object) for name, values in columns.items()}


def set_line(layer: Any, width: float) -> None:
    """Set the width of all outlines, in the layer's own unit (napari#7939)."""
    if any(known != width for known in layer.edge_width):
        layer.edge_width = width
        # napari changes the mesh but does not draw it anew
        layer.refresh(extent=False, thumbnail=False)


def new_region_id() -> str:
    """Return an id that no other region has."""
    return f"region-{uuid.uuid4().hex[:8]}"


def next_name(taken: set[str], kind: str = "Region") -> str:
    """Return the first of "Region 1", "Region 2", ... that is free."""
    number = 1
    while f"{kind} {number}" in taken:
        number += 1
    return f"{kind} {number}"


def square_mm_box(center_yx_px: tuple[float, float], mpp: float) -> BoxPx:
    """Return the 1 mm² box around a point, in level-0 pixels."""
    half = SQUARE_MM_UM / mpp / 2
    y, x = center_yx_px
    return BoxPx(round(y - half), round(x - half), round(y + half), round(x + half))


def _shape_type(region: Region) -> str:
    ys = {y for y, _ in region.vertices_yx}
    xs = {x for _, x in region.vertices_yx}
    is_box = len(region.vertices_yx) == 4 and len(ys) == 2 and len(xs) == 2
    return "rectangle" if is_box else "polygon"


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the polygon of the ellipse in a (possibly turned) rectangle."""
    corners = np.asarray(corners, float)
    middle = corners.mean(axis=0)
    half_a, half_b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * math.pi, ELLIPSE_CORNERS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points: NDArray[np.float64] = middle + circle @ np.stack([half_a, half_b])
    return points
