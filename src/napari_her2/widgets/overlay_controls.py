"""Show, hide and fade the overlays; the swatch beside each is its legend."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSlider
from superqt.utils import signals_blocked

from napari_her2.viewer.desk import Desk
from napari_her2.viewer.overlay_layers import OVERLAYS, Overlay
from napari_her2.viewer.roles import SYNTHETIC, Role
from napari_her2.widgets.legend import Legend
from napari_her2.widgets.panel import Listener

_TITLES = {
    Role.SYNTHETIC_IHC: "Synthetic IHC",
    Role.SYNTHETIC_HE: "Synthetic H&&E",
    Role.SCORE_MAP: "AI score per tile",
    Role.ATTENTION: "Channel attention",
    Role.BRANCH_SHARE: "IHC / H&&E share",
}
SYNTHESISED = tuple(overlay for overlay in OVERLAYS if overlay.role in SYNTHETIC)
SINGLE_OVERLAYS = tuple((o,) for o in OVERLAYS if o.role not in SYNTHETIC)
_WITHHELD = "Shown for regions whose suggestion you have revealed."


class OverlayControls(Listener):
    """One row per overlay: visible, legend, opacity."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(3)
        self.rows = [
            OverlayRow(desk, overlays) for overlays in (SYNTHESISED, *SINGLE_OVERLAYS)
        ]
        for index, row in enumerate(self.rows):
            for column, widget in enumerate((row.check, row.legend, row.opacity)):
                layout.addWidget(widget, index, column)
        layers = desk.viewer.layers.events
        for event in (layers.inserted, layers.removed):
            event.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        for row in self.rows:
            row.draw()


class OverlayRow:
    """The three widgets of one overlay, in step with its layer.

    ``overlays`` are those that share the row because a case has one of them only.
    """

    def __init__(self, desk: Desk, overlays: tuple[Overlay, ...]) -> None:
        self._desk = desk
        self._overlays = overlays
        self._layer: Any = None
        self.check = QCheckBox()
        self.legend = Legend(overlays[0].role)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setToolTip("Opacity")
        self.check.toggled.connect(self._on_toggled)
        self.opacity.valueChanged.connect(self._on_opacity)

    def draw(self) -> None:
        """Show the layer as it is; off while there is none."""
        overlay = self._overlays[0]
        layer = None
        for candidate in self._overlays:
            if (found := self._desk.stage.overlay(candidate.role)) is not None:
                overlay, layer = candidate, found
        if layer is not None and layer is not self._layer:
            layer.events.visible.connect(self.draw)
            layer.events.opacity.connect(self.draw)
        self._layer = layer
        for widget in (self.check, self.legend, self.opacity):
            widget.setEnabled(layer is not None)
        is_score = overlay.role is Role.SCORE_MAP
        tip = _WITHHELD if layer is None and is_score else overlay.explanation
        self.check.setText(_TITLES[overlay.role])
        self.check.setToolTip(tip)
        self.legend.setToolTip(tip)
        visible = layer is not None and layer.visible
        opacity = overlay.opacity if layer is None else layer.opacity
        with signals_blocked(self.check), signals_blocked(self.opacity):
            self.check.setChecked(visible)
            self.opacity.setValue(round(opacity * 100))

    def _on_toggled(self, is_on: bool) -> None:
        if self._layer is not None:
            self._layer.visible = is_on

    def _on_opacity(self, percent: int) -> None:
        if self._layer is not None:
            self._layer.opacity = percent / 100
