"""A call in large type with the sentences that belong to it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_her2.core.score import Call, Score
from napari_her2.widgets.style import label


class CallHead(QWidget):
    """The call at the left, sentences beside it; a dash where there is no score."""

    def __init__(self, *sentences: QLabel) -> None:
        super().__init__()
        self.call = label(look="call")
        words = QVBoxLayout()
        words.setSpacing(0)
        for sentence in sentences:
            words.addWidget(sentence)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.call, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)

    def show_call(self, call: Call | None) -> None:
        """Show a score, a dash where nothing could be assessed, or nothing."""
        unscored = "" if call is None else "–"
        self.call.setText(str(call) if isinstance(call, Score) else unscored)
