"""One row per slide: stain, size, scale and colours, and an entry for the scale."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QHBoxLayout, QWidget

from napari_her2.core.score import Stain
from napari_her2.slides.colour import Colours
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, label

USUAL_MPP = 0.25
_COLOURS = {
    Colours.SRGB: "   sRGB by profile",
    Colours.UNUSABLE: "   colour profile unusable",
}
"""Colours as they are stored need no word."""


class SlideRows(Listener):
    """The slides of the open case."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(10)
        layout.setVerticalSpacing(3)
        layout.setColumnStretch(1, 1)
        self.facts = {stain: label() for stain in Stain}
        self.entries = {stain: ScaleEntry(desk, stain) for stain in Stain}
        for row, stain in enumerate(Stain):
            layout.addWidget(label(stain.label, "strong"), 2 * row, 0)
            layout.addWidget(self.facts[stain], 2 * row, 1)
            layout.addWidget(self.entries[stain], 2 * row + 1, 1)
        self.follow(self._draw, self.session.state.events.pair)

    def _draw(self) -> None:
        pair = self.session.state.pair
        slides = {} if pair is None else dict(pair.slides)
        for stain in Stain:
            slide = slides.get(stain)
            self.entries[stain].setVisible(slide is not None and slide.mpp is None)
            if slide is None:
                self.facts[stain].setText("–" if pair is None else "no slide")
                continue
            height, width = slide.shape
            scale = "scale unknown" if slide.mpp is None else f"{slide.mpp:.3g} µm/px"
            colours = _COLOURS.get(slide.colours, "")
            self.facts[stain].setText(f"{width:,} × {height:,} px   {scale}{colours}")
            content = slide.fingerprint.partition(":")[2]
            self.facts[stain].setToolTip(f"Content {content[:12]}")


class ScaleEntry(QWidget):
    """Asks for the µm per pixel of a slide that does not know its own."""

    def __init__(self, desk: Desk, stain: Stain) -> None:
        super().__init__()
        self._session = desk.session
        self._stain = stain
        self.value = QDoubleSpinBox()
        self.value.setDecimals(4)
        self.value.setRange(0.0001, 100)
        self.value.setSingleStep(0.01)
        self.value.setValue(USUAL_MPP)
        self.value.setSuffix(" µm/px")
        self.accept = button("Set scale", tip="Use this scale for the slide")
        self.accept.clicked.connect(self._on_accept)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.value, 1)
        layout.addWidget(self.accept)

    def _on_accept(self) -> None:
        with noticed(self._session):
            self._session.set_scale(self._stain, self.value.value())
