"""The six things a reader can say: five scores, or not assessable and why."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QWidget

from napari_her2.core.score import Call, NotAssessable, Score
from napari_her2.widgets.style import button, enable

NOT_ASSESSABLE_REASONS = (
    "no invasive tumour in the region",
    "out of focus or artefact",
    "too few tumour cells",
    "control failed",
    "IHC needed",
)


class CallButtons(QWidget):
    """A row of scores and a menu of reasons; tells what was chosen."""

    chosen = Signal(object)

    def __init__(self, tip: str) -> None:
        super().__init__()
        self._tip = tip
        self.scores = {score: button(str(score)) for score in Score}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for score, widget in self.scores.items():
            widget.setCheckable(True)
            widget.setToolTip(score.meaning)
            widget.clicked.connect(self._on_score)
            row.addWidget(widget, 1)
        self.not_assessable = button("Not assessable")
        self.not_assessable.setCheckable(True)
        menu = QMenu(self.not_assessable)
        for reason in NOT_ASSESSABLE_REASONS:
            menu.addAction(reason)
        menu.triggered.connect(self._on_reason)
        menu.aboutToHide.connect(self._draw)
        self.not_assessable.setMenu(menu)
        self._call: Call | None = None
        row.addWidget(self.not_assessable)

    def show_call(self, call: Call | None, refusal: str | None) -> None:
        """Mark a call as given, and say why none can be given now."""
        self._call = call
        for score, widget in self.scores.items():
            enable(widget, refusal, score.meaning)
        enable(self.not_assessable, refusal, self._tip)
        self._draw()

    def _draw(self) -> None:
        for score, widget in self.scores.items():
            widget.setChecked(score == self._call)
        is_open = isinstance(self._call, NotAssessable)
        self.not_assessable.setChecked(is_open)
        self.not_assessable.setToolTip(str(self._call) if is_open else self._tip)

    def _on_score(self) -> None:
        for score, widget in self.scores.items():
            if widget is self.sender():
                self._draw()
                self.chosen.emit(score)

    def _on_reason(self, action: Any) -> None:
        self.chosen.emit(NotAssessable(action.text()))
