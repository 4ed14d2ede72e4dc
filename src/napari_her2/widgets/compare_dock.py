"""The Compare dock: real and synthetic IHC side by side, moving with the slide."""

from __future__ import annotations

from typing import Any

from napari.qt import QtViewer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout

from napari_her2.app.pairing import on_both
from napari_her2.app.state import SessionState
from napari_her2.viewer.cell_mirror import CellMirror
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.linked_camera import LinkedCameras
from napari_her2.viewer.palette import SYNTHETIC
from napari_her2.viewer.region_mirror import RegionMirror
from napari_her2.viewer.roles import SYNTHETIC as SYNTHETIC_ROLES
from napari_her2.viewer.roles import Role
from napari_her2.viewer.twin import Twin
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import STYLE, label

CANVAS_PX = 160
REAL_TITLE = "Real IHC"
SYNTHETIC_TITLE = "SYNTHETIC IHC · computed from H&E, not a stain"
SYNTHETIC_HE_TITLE = "SYNTHETIC H&E · computed from IHC, not a stain"
NOT_OPEN = "No case is open."
NO_IHC = "This case has no real IHC slide."
NO_HE = "A synthetic IHC needs an H&E slide, and this case has none."
UNFAMILIAR = "Nothing synthetic is shown of tissue the model does not know."
NOT_RUN = "Nothing synthetic yet. Run the AI on a view or a region."


class CompareDock(Listener):
    """Two small canvases whose cameras are locked to the main one."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.setStyleSheet(STYLE)
        self.real_title = label(REAL_TITLE, "strong", wrap=True)
        self.real = ComparePane(desk, (Role.IHC,), self.real_title, border=None)
        self.title = label(SYNTHETIC_TITLE, "synthetic", wrap=True)
        self.synthetic = ComparePane(
            desk, SYNTHETIC_ROLES, self.title, border=SYNTHETIC
        )
        self._panes = (self.real, self.synthetic)
        cameras = [desk.viewer, *(pane.twin.model for pane in self._panes)]
        self._cameras = LinkedCameras([model.scene.camera for model in cameras])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for pane in self._panes:
            layout.addWidget(pane, 1)
        self._is_docked = False
        self._is_closed = False
        desk.stage.overlays.tiles_changed.connect(self._on_tiles)
        events = self.session.state.events
        self.follow(
            self._draw_reasons,
            events.pair,
            events.bundle,
            events.run,
            events.forced,
            events.unfamiliar,
        )
        self.follow(self._draw_title, events.pair, events.regions, events.error_limits)

    def shut_down(self) -> None:
        """Release canvases and pixels; napari counts canvases that are left."""
        if not self._is_closed:
            self._is_closed = True
            self.desk.stage.overlays.tiles_changed.disconnect(self._on_tiles)
            self._cameras.close()
            for pane in self._panes:
                pane.shut_down()

    def event(self, event: QEvent) -> bool:
        """Shut down when the dock around this widget is closed."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._is_docked:
                self.shut_down()
            self._is_docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:
        """Shut down with the window."""
        self.shut_down()
        super().closeEvent(event)

    def _draw_reasons(self) -> None:
        pair = self.session.state.pair
        if pair is None:
            self.real.nothing.setText(NOT_OPEN)
            self.synthetic.nothing.setText(NOT_OPEN)
        else:
            self.real.nothing.setText(NO_IHC)
            store = self.session.results
            is_made = store is None or bool(store.direction)
            has_none = pair.he is None and not is_made
            self.synthetic.nothing.setText(NO_HE if has_none else NOT_RUN)
            title = SYNTHETIC_HE_TITLE if pair.he is None else SYNTHETIC_TITLE
            if self.session.state.forced:
                title = f"FORCED · {title.partition(' · ')[0]} · not a stain"
            self.title.setText(title)
            if self.session.state.unfamiliar and not has_none:
                self.synthetic.nothing.setText(UNFAMILIAR)

    def _draw_title(self) -> None:
        self.real_title.setText(real_title(self.session.state))

    def _on_tiles(self) -> None:
        self.synthetic.twin.refresh_pixels()


def real_title(state: SessionState) -> str:
    """Return what stands above the real IHC, with the regions not carried to it."""
    if state.pair is None:
        return REAL_TITLE
    carried = on_both(state.pair, state.regions, state.error_limits)
    n_left = len(state.regions) - len(carried)
    if n_left == 0:
        return REAL_TITLE
    told = "one region" if n_left == 1 else f"{n_left} regions"
    return f"{REAL_TITLE} · without {told}, where the slides lie apart"


class ComparePane(QFrame):
    """One canvas with its title, or the reason why it is empty."""

    def __init__(
        self, desk: Desk, roles: tuple[Role, ...], title: QLabel, *, border: str | None
    ) -> None:
        super().__init__()
        self.twin = Twin(desk.viewer, *roles)
        self.regions = RegionMirror(self.twin, desk.session)
        self.cells = CellMirror(self.twin, desk.cell_layers)
        self.canvas = QtViewer(self.twin.model)
        self.canvas.setMinimumHeight(CANVAS_PX)
        self.nothing = label(look="muted", wrap=True)
        if border is not None:
            self.setObjectName("marked")
            self.setStyleSheet(f"QFrame#marked {{ border: 2px solid {border}; }}")
        self._stack = QStackedLayout()
        self._stack.addWidget(self.nothing)
        self._stack.addWidget(self.canvas)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3, 3, 3, 3)
        layout.setSpacing(2)
        layout.addWidget(title)
        layout.addLayout(self._stack, 1)
        self.twin.changed.connect(self._draw)
        self._draw()

    def shut_down(self) -> None:
        """Close the canvas."""
        self.twin.changed.disconnect(self._draw)
        self.regions.close()
        self.cells.close()
        self.twin.close()
        self.canvas.close()
        self.canvas.deleteLater()

    def _draw(self) -> None:
        self._stack.setCurrentWidget(
            self.nothing if self.twin.is_empty else self.canvas
        )
