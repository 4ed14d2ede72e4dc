"""The line that says what went wrong and what to do next."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QToolButton

from napari_her2.viewer.desk import Desk
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import label


class NoticeLine(Listener):
    """Shows the session's notice until the reader puts it away."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.text = label(wrap=True)
        self.put_away = QToolButton()
        self.put_away.setText("✕")
        self.put_away.setToolTip("Put this notice away")
        self.put_away.clicked.connect(self._on_put_away)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.put_away, 0, Qt.AlignmentFlag.AlignTop)
        self.follow(self._draw, self.session.state.events.notice)

    def _draw(self) -> None:
        notice = self.session.state.notice
        self.setVisible(notice is not None)
        if notice is None:
            return
        self.text.setText(notice.text)
        self.text.setProperty("look", "problem" if notice.is_error else "notice")
        self.text.style().unpolish(self.text)
        self.text.style().polish(self.text)

    def _on_put_away(self) -> None:
        self.session.state.notice = None
