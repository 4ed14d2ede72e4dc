"""Marking the same place on both slides by two clicks, and showing the marks.

The first click is on the H&E alone, the second on the IHC alone: each slide is
looked at by itself, so that the overlay does not suggest where to click.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.pairing import Landmark, PointUm
from napari_her2.app.session import Session
from napari_her2.viewer.clicks import on_click
from napari_her2.viewer.palette import LANDMARK
from napari_her2.viewer.placement import placement_of
from napari_her2.viewer.roles import Role, adding, find, tag

_MARK_PX = 16


class Awaited(StrEnum):
    """What the next click means."""

    NOTHING = ""
    HE = "Click a place on the H&E that you would know again."
    IHC = "Now click the same place on the IHC."


class LandmarkTool:
    """Landmarks of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose landmarks are added and shown.
    """

    awaited_changed = Signal()
    """The next click means something else now."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._he_um: PointUm = (0.0, 0.0)
        self._shown_before: dict[Role, bool] = {}
        self.awaited = Awaited.NOTHING
        on_click(viewer, self._is_awaiting, self.click)
        events = session.state.events
        for signal in (events.landmarks, events.versions):
            signal.connect(self._draw)
        events.pair.connect(self._on_pair)

    def start(self) -> None:
        """Wait for a click on the H&E."""
        pair = self._session.state.pair
        if pair is not None and pair.he is not None and pair.ihc is not None:
            self._await(Awaited.HE)

    def stop(self) -> None:
        """Wait for no click, and show the layers as they were."""
        self._await(Awaited.NOTHING)

    def _await(self, awaited: Awaited) -> None:
        viewer = self._viewer()
        layers = {
            role: None if viewer is None else find(viewer.layers, role)
            for role in (Role.HE, Role.IHC)
        }
        if self.awaited is Awaited.NOTHING:
            self._shown_before = {
                role: layer.visible
                for role, layer in layers.items()
                if layer is not None
            }
        self.awaited = awaited
        for role, layer in layers.items():
            if layer is None:
                continue
            if awaited is Awaited.NOTHING:
                layer.visible = self._shown_before.get(role, layer.visible)
            else:
                layer.visible = (role is Role.HE) == (awaited is Awaited.HE)
        self._draw()
        self.awaited_changed.emit()

    def _is_awaiting(self) -> bool:
        return self.awaited is not Awaited.NOTHING

    def click(self, world_um: tuple[float, ...]) -> None:
        """Take a place (y, x) in the world for what is awaited."""
        pair = self._session.state.pair
        if pair is None:
            return
        if self.awaited is Awaited.HE:
            self._he_um = (world_um[0], world_um[1])
            self._await(Awaited.IHC)
        elif self.awaited is Awaited.IHC:
            y, x = pair.he_to_ihc_um.apply(world_um).tolist()
            self.stop()
            self._session.pairing.add_landmark(Landmark(self._he_um, (y, x)))

    def _on_pair(self, now: Any, before: Any) -> None:
        if now is None or not now.same_slides(before):
            self.awaited = Awaited.NOTHING
            self._shown_before = {}
            self.awaited_changed.emit()

    def _draw(self) -> None:
        """Show a disc on the H&E and a cross where the IHC says it is, per pair."""
        viewer, state = self._viewer(), self._session.state
        if viewer is None:
            return
        layer = find(viewer.layers, Role.LANDMARKS)
        if state.pair is None or state.case is None:
            return
        # no mark tells where to click
        marks = state.landmarks if self.awaited is Awaited.NOTHING else ()
        discs = [mark.he_um for mark in marks]
        crosses = [mark.ihc_um for mark in marks]
        if layer is not None:
            # napari draws on with the places of points that are gone
            viewer.layers.remove(layer)
        if not discs:
            return
        back = state.pair.he_to_ihc_um.inverse()
        points = np.vstack([discs, *([back.apply(crosses)] if crosses else [])])
        with adding(viewer, Role.LANDMARKS):
            viewer.add_points(
                points,
                name="Landmarks",
                symbol=["ring"] * len(discs) + ["cross"] * len(crosses),
                face_color=LANDMARK,
                border_width=0,
                size=_MARK_PX / max(float(viewer.scene.camera.zoom), 1e-6),
                metadata=tag(Role.LANDMARKS, state.case.case_id),
                units=placement_of(state.pair).units,
            )
