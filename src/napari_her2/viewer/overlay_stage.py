"""Keeps the overlay layers of a viewer in step with the result store."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.inference.identity import HE_TO_IHC, IHC_TO_HE
from napari_her2.inference.result import TileState
from napari_her2.inference.store import ResultStore
from napari_her2.viewer.growing_pyramid import growing_pyramid
from napari_her2.viewer.overlay_layers import (
    OVERLAYS,
    Overlay,
    add_frame,
    add_overlay,
    frame_data,
    overlay_arguments,
)
from napari_her2.viewer.placement import placement_of
from napari_her2.viewer.roles import SYNTHETIC, Role, adding, find
from napari_her2.viewer.score_grid import revealed_tiles, score_grid

_DIRECTIONS = {Role.SYNTHETIC_IHC: HE_TO_IHC, Role.SYNTHETIC_HE: IHC_TO_HE}
FRAME_PX = 3.0
"""Width on screen of the border around synthetic pixels, logical pixels."""


class OverlayStage:
    """The overlays of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose results are shown.
    """

    tiles_changed = Signal()
    """New synthetic pixels are in the store."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._store: ResultStore | None = None
        self._n_shown = -1

    def refresh(self) -> None:
        """Add, update or remove overlays so that they show the store as it is."""
        viewer, store = self._viewer(), self._session.results
        if viewer is None:
            return
        if store is not self._store:
            self.clear()
            self._store = store
        if store is None or self._session.state.pair is None:
            return
        n_done = int((store.state >= TileState.BOTH).sum())
        if n_done:
            self._draw(viewer, store, has_new_tiles=n_done != self._n_shown)
        self._n_shown = n_done

    def clear(self) -> None:
        """Remove every overlay."""
        self._store, self._n_shown = None, -1
        viewer = self._viewer()
        if viewer is None:
            return
        for role in (*(overlay.role for overlay in OVERLAYS), Role.SYNTHETIC_FRAME):
            layer = find(viewer.layers, role)
            if layer is not None:
                viewer.layers.remove(layer)

    def follow_zoom(self) -> None:
        """Keep the border equally wide on screen (napari#7939)."""
        viewer = self._viewer()
        frame = None if viewer is None else find(viewer.layers, Role.SYNTHETIC_FRAME)
        if viewer is not None and frame is not None:
            zoom = float(viewer.scene.camera.zoom)
            frame.edge_width = FRAME_PX / zoom / float(frame.scale[-1])

    def _draw(self, viewer: Any, store: ResultStore, *, has_new_tiles: bool) -> None:
        for overlay in OVERLAYS:
            layer = find(viewer.layers, overlay.role)
            data = self._data(overlay, store)
            if data is None:
                if layer is not None:
                    viewer.layers.remove(layer)
            elif layer is None:
                self._add(viewer, overlay, data, store)
            elif overlay.role is Role.SCORE_MAP:
                layer.data = data
            elif has_new_tiles and overlay.role in SYNTHETIC:
                layer.refresh(extent=False)
                self.tiles_changed.emit()
            elif has_new_tiles:
                layer.data = data
        synthetic = find(viewer.layers, *SYNTHETIC)
        if synthetic is not None:
            self._frame(viewer, store, synthetic, has_new_tiles=has_new_tiles)

    def _data(self, overlay: Overlay, store: ResultStore) -> Any:
        """Return what an overlay shows, None when it must not or cannot be shown."""
        match overlay.role:
            case Role.SYNTHETIC_IHC | Role.SYNTHETIC_HE:
                is_made = _DIRECTIONS[overlay.role] == store.direction
                if not is_made or not store.is_synthesised.any():
                    return None
                return growing_pyramid(store.synthetic_levels)
            case Role.SCORE_MAP:
                return self._scores(store)
            case Role.ATTENTION:
                attention = store.map("attention")
                return None if attention is None else np.array(attention)
            case _:
                share = store.map("branch_share")
                return None if share is None else np.array(share[..., 0])

    def _scores(self, store: ResultStore) -> Any:
        state = self._session.state
        probabilities = store.map("probabilities")
        if probabilities is None or state.bundle is None:
            return None
        # a viewport that nobody reads holds back no tile of a region that is read
        rows = [
            row
            for row in state.reviewed
            if row.region in state.regions or row.record.acts
        ]
        shown = revealed_tiles(
            store.grid, rows, first_read_required=state.first_read_required
        )
        if not shown.any():
            return None
        scores = score_grid(probabilities, state.bundle.card.classes)
        if not store.forced:
            shown &= ~store.unfamiliar
        return np.where(shown, scores, np.float32(np.nan))

    def _add(
        self, viewer: Any, overlay: Overlay, data: Any, store: ResultStore
    ) -> None:
        pair, case = self._session.state.pair, self._session.state.case
        if pair is None or case is None:
            return
        arguments = overlay_arguments(overlay.role, store, placement_of(pair))
        with adding(viewer, overlay.role):
            layer = add_overlay(viewer, overlay, data, arguments, case.case_id, store)
        if self._session.state.run.phase is RunPhase.IDLE:
            # results of an earlier day do not cover the slide before it is read
            layer.visible = False

    def _frame(
        self, viewer: Any, store: ResultStore, synthetic: Any, *, has_new_tiles: bool
    ) -> None:
        frame = find(viewer.layers, Role.SYNTHETIC_FRAME)
        if frame is not None:
            if has_new_tiles:
                frame.data = frame_data(store, at_least=len(frame.data))
            return
        pair, case = self._session.state.pair, self._session.state.case
        if pair is None or case is None:
            return
        with adding(viewer, Role.SYNTHETIC_FRAME):
            frame = add_frame(
                viewer, frame_data(store), placement_of(pair), case.case_id, store
            )
        frame.visible = synthetic.visible
        # hiding the border hides what it marks
        viewer.layers.link_layers([synthetic, frame], ("visible",))
        self.follow_zoom()
