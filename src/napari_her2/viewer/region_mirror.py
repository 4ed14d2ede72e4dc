"""The regions on a twin's canvas, where they lie on the slide it shows."""

from __future__ import annotations

from typing import Any

from napari_her2.app.pairing import on_both
from napari_her2.app.session import Session
from napari_her2.core.score import Stain
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.palette import REGION
from napari_her2.viewer.placement import outline_over, placement_of
from napari_her2.viewer.region_layer import set_line
from napari_her2.viewer.roles import Role, tag
from napari_her2.viewer.twin import Twin

LINE_SCREEN_PX = 2.0
_EVERY_MS = 120


class RegionMirror:
    """A Shapes layer that nobody edits, drawn anew when regions or slides move.

    Where the slides lie apart no region is carried to the IHC.

    Parameters
    ----------
    twin
        Whose canvas is drawn on.
    session
        Whose regions are shown.
    """

    def __init__(self, twin: Twin, session: Session) -> None:
        self._twin = twin
        self._session = session
        self._layer: Any = None
        self._draw_timer = later(self.draw, 0)
        self._line_timer = later(self._follow_zoom, _EVERY_MS)
        events = session.state.events
        self._signals = (
            events.regions,
            events.pair,
            events.error_limits,
            twin.changed,
        )
        for signal in self._signals:
            signal.connect(self._on_changed)
        twin.model.scene.camera.events.zoom.connect(self._on_zoom)
        self.draw()

    def draw(self) -> None:
        """Show the regions as they are now."""
        self._clear()
        state = self._session.state
        pair, case, role = state.pair, state.case, self._twin.role
        if pair is None or case is None or role is None:
            return
        stain = Stain.IHC if role is Role.IHC else Stain.HE
        regions = state.regions
        if stain is Stain.IHC:
            regions = on_both(pair, regions, state.error_limits)
        if not regions:
            return
        camera = self._twin.model.scene.camera
        before = camera.center, camera.zoom
        self._layer = self._twin.model.add_shapes(
            [outline_over(region, pair, stain) for region in regions],
            shape_type="polygon",
            name="Regions",
            edge_color=REGION,
            face_color="transparent",
            opacity=1.0,
            units=placement_of(pair).units,
            metadata=tag(Role.REGIONS, case.case_id),
        )
        self._layer.editable = False
        camera.center, camera.zoom = before
        self._follow_zoom()

    def close(self) -> None:
        """Stop following; the layer goes with its canvas."""
        for signal in self._signals:
            signal.disconnect(self._on_changed)
        self._twin.model.scene.camera.events.zoom.disconnect(self._on_zoom)
        self._layer = None

    def _clear(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._twin.model.layers:
            self._twin.model.layers.remove(layer)

    def _on_changed(self) -> None:
        # napari may still be inside its own event while a shape is finished
        soon(self._draw_timer)

    def _on_zoom(self) -> None:
        soon(self._line_timer)

    def _follow_zoom(self) -> None:
        if self._layer is not None:
            zoom = float(self._twin.model.scene.camera.zoom)
            set_line(self._layer, LINE_SCREEN_PX / zoom)
