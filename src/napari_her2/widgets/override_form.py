"""A call of one's own in place of the suggestion, and why."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLineEdit, QWidget

from napari_her2.core.score import NotAssessable, Score
from napari_her2.review.events import ReasonCode
from napari_her2.widgets.call_buttons import NOT_ASSESSABLE_REASONS
from napari_her2.widgets.style import button, enable, label

_CHOOSE_CALL = "Score"
_CHOOSE_REASON = "Reason"
_MISSING = "Choose a score and a reason first."


class OverrideForm(QWidget):
    """Emits (call, reason code, note) once all that is needed is chosen."""

    chosen = Signal(object, object, str)

    def __init__(self) -> None:
        super().__init__()
        self._refusal: str | None = None
        self.call = QComboBox()
        self.call.addItem(_CHOOSE_CALL, None)
        for call in (*Score, *map(NotAssessable, NOT_ASSESSABLE_REASONS)):
            self.call.addItem(str(call), call)
        self.reason = QComboBox()
        self.reason.addItem(_CHOOSE_REASON, None)
        for code in ReasonCode:
            self.reason.addItem(str(code), code)
        for box in (self.call, self.reason):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.view().setMinimumWidth(230)
            box.currentIndexChanged.connect(self._draw)
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note")
        self.accept = button("Override")
        self.accept.clicked.connect(self._on_accept)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.call, 0, 0)
        layout.addWidget(label("because", "muted"), 0, 1)
        layout.addWidget(self.reason, 0, 2)
        layout.addWidget(self.note, 1, 0, 1, 2)
        layout.addWidget(self.accept, 1, 2)
        layout.setColumnStretch(0, 2)
        layout.setColumnStretch(2, 3)

    def show_refusal(self, refusal: str | None) -> None:
        """Say why the suggestion cannot be overridden now, None if it can."""
        self._refusal = refusal
        self._draw()

    def _draw(self) -> None:
        for widget in (self.call, self.reason, self.note):
            widget.setEnabled(self._refusal is None)
        is_chosen = self.call.currentIndex() > 0 and self.reason.currentIndex() > 0
        missing = None if is_chosen else _MISSING
        enable(self.accept, self._refusal or missing, "Decide with this score")

    def _on_accept(self) -> None:
        self.chosen.emit(
            self.call.currentData(), self.reason.currentData(), self.note.text()
        )
        self.call.setCurrentIndex(0)
        self.reason.setCurrentIndex(0)
        self.note.clear()
