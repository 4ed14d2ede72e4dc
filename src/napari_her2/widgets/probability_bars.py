"""Five bars, one per score, so that a close runner-up is seen at once."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_her2.core.score import Score
from napari_her2.viewer.palette import SCORE_COLORS

ROW_PX = 15
LABEL_PX = 28
FIGURE_PX = 42


class ProbabilityBars(QWidget):
    """Draws the probability of each score, 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: dict[Score, float] = {}
        self.setMinimumHeight(self.sizeHint().height())

    def show_shares(self, shares: Iterable[tuple[Score, float]]) -> None:
        """Draw these probabilities; an empty list clears the bars."""
        self._shares = dict(shares)
        self.setAccessibleDescription(
            ", ".join(f"{score} {share:.0%}" for score, share in self._shares.items())
        )
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for one row per score."""
        return QSize(220, ROW_PX * len(Score))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw label, bar and percentage of each score."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().windowText().color()
        track = QColor(128, 136, 148, 50)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        room = self.width() - LABEL_PX - FIGURE_PX
        for row, score in enumerate(Score):
            share = self._shares.get(score, 0.0)
            top = row * ROW_PX
            painter.setPen(text)
            painter.drawText(QRectF(0, top, LABEL_PX, ROW_PX), left, str(score))
            painter.drawText(
                QRectF(self.width() - FIGURE_PX, top, FIGURE_PX, ROW_PX),
                right,
                f"{share:.0%}",
            )
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(track)
            painter.drawRoundedRect(QRectF(LABEL_PX, top + 3, room, ROW_PX - 7), 3, 3)
            painter.setBrush(QColor(SCORE_COLORS[score]))
            painter.drawRoundedRect(
                QRectF(LABEL_PX, top + 3, max(room * share, 1), ROW_PX - 7), 3, 3
            )
        painter.end()
