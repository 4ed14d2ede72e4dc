"""Marking control tissue on the IHC by hand: one box for each score it should read."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score, Stain
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.palette import CONTROL
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.roles import Role, adding, find, tag

LINE_PX = 2.5
TEXT_PX = 12


class ControlTool:
    """The marks of one viewer: a Shapes layer in pixels of the IHC slide.

    The session's marks are the truth; what a reader does to the layer by other means
    than this tool is undone.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose marks are set and shown.
    """

    awaited_changed = Signal()
    """The next drag marks something else now."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._is_drawing = False
        self.awaited: Score | None = None
        # napari is still inside its own event while a shape is being finished
        self._timer = later(self._draw, 0)
        events = session.state.events
        for signal in (events.controls, events.versions):
            signal.connect(self._on_marks)
        events.pair.connect(self._on_pair)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)

    def start(self, score: Score) -> None:
        """Let the next drag draw the box round what should read this score."""
        pair = self._session.state.pair
        if pair is not None and pair.ihc is not None:
            self._await(score)

    def stop(self) -> None:
        """Wait for no box."""
        self._await(None)

    def _await(self, score: Score | None) -> None:
        self.awaited = score
        self._draw()
        self.awaited_changed.emit()

    def _on_pair(self, now: Any, before: Any) -> None:
        if now is None or not now.same_slides(before):
            self.awaited = None
            self.awaited_changed.emit()

    def _on_marks(self) -> None:
        soon(self._timer)

    def _on_data(self, event: Any) -> None:
        if self._is_drawing or str(event.action) not in ("added", "changed", "removed"):
            return
        score, self.awaited = self.awaited, None
        if score is not None and str(event.action) == "added":
            corners = np.asarray(event.source.data[-1])
            low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
            box_px = BoxPx(*(int(edge) for edge in (*low, *high)))
            with noticed(self._session):
                self._session.quality.mark_control(score, box_px)
        self.awaited_changed.emit()
        soon(self._timer)

    def _on_zoom(self) -> None:
        viewer, pair = self._viewer(), self._session.state.pair
        layer = None if viewer is None else find(viewer.layers, Role.CONTROLS)
        if layer is not None and pair is not None:
            layer.edge_width = _line_px(viewer, pair)
            # napari changes the mesh but does not draw it anew
            layer.refresh(extent=False, thumbnail=False)

    def _draw(self) -> None:
        """Show the marks, and take the next drag for the one that is awaited."""
        viewer, state = self._viewer(), self._session.state
        if viewer is None or state.pair is None or state.case is None:
            return
        layer = find(viewer.layers, Role.CONTROLS)
        if not state.controls and self.awaited is None:
            if layer is not None:
                viewer.layers.remove(layer)
            return
        self._is_drawing = True
        try:
            if layer is None:
                layer = self._new_layer(viewer, state.pair, state.case.case_id)
            layer.affine = slide_to_world(state.pair, Stain.IHC)
            layer.mode = "pan_zoom"
            layer.data = []
            if state.controls:
                layer.add(
                    [_corners(mark.box_px) for mark in state.controls],
                    shape_type="rectangle",
                    edge_width=_line_px(viewer, state.pair),
                )
            scores = [str(mark.score) for mark in state.controls]
            layer.features = {"score": np.array(scores, dtype=object)}
            if self.awaited is None:
                return
            layer.current_edge_width = _line_px(viewer, state.pair)
            layer.feature_defaults = {"score": [str(self.awaited)]}
            layer.visible = True
            viewer.layers.selection.active = layer
            layer.mode = "add_rectangle"
        finally:
            self._is_drawing = False

    def _new_layer(self, viewer: Any, pair: SlidePair, case_id: str) -> Any:
        placement = placement_of(pair)
        with adding(viewer, Role.CONTROLS):
            layer = viewer.add_shapes(
                ndim=2,
                name="Control tissue",
                features={"score": np.array([], dtype=object)},
                text={
                    "string": "{score}",
                    "color": CONTROL,
                    "size": TEXT_PX,
                    "anchor": "upper_left",
                },
                edge_color=CONTROL,
                face_color="transparent",
                opacity=1.0,
                scale=(placement.ihc_mpp, placement.ihc_mpp),
                units=placement.units,
                metadata=tag(Role.CONTROLS, case_id),
            )
        layer.events.data.connect(self._on_data)
        return layer


def _line_px(viewer: Any, pair: SlidePair) -> float:
    """Return how many pixels of the IHC a line on screen spans."""
    return LINE_PX / float(viewer.scene.camera.zoom) / placement_of(pair).ihc_mpp


def _corners(box_px: BoxPx) -> list[tuple[int, int]]:
    y0, x0, y1, x1 = box_px.as_tuple()
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
