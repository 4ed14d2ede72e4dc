"""A small strip with the colours of an overlay and what they mean."""

from __future__ import annotations

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_her2.core.score import Score
from napari_her2.viewer.palette import (
    ATTENTION_STOPS,
    BRANCH_STOPS,
    SCORE_COLORS,
    SYNTHETIC,
)
from napari_her2.viewer.roles import Role

WIDTH_PX, HEIGHT_PX = 104, 16
LIGHT, DARK = "#ffffff", "#101418"
_DARK_STEPS = (Score.ZERO, Score.THREE)

Word = tuple[str, Qt.AlignmentFlag, str]
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_WORDS: dict[Role, tuple[Word, ...]] = {
    Role.SYNTHETIC_IHC: (("not a stain", Qt.AlignmentFlag.AlignHCenter, LIGHT),),
    Role.ATTENTION: (("0", _LEFT, LIGHT), ("1", _RIGHT, DARK)),
    Role.BRANCH_SHARE: (("IHC", _LEFT, LIGHT), ("H&E", _RIGHT, LIGHT)),
}


class Legend(QWidget):
    """The legend of one overlay."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role
        self.setFixedSize(WIDTH_PX, HEIGHT_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the strip and its words."""
        painter = QPainter(self)
        painter.setOpacity(1.0 if self.isEnabled() else 0.3)
        strip = QRectF(0, 0, self.width(), self.height())
        if self._role is Role.SCORE_MAP:
            _paint_scores(painter, strip)
        else:
            painter.fillRect(strip, _fill(self._role, strip))
        middle = Qt.AlignmentFlag.AlignVCenter
        for word, side, color in _WORDS.get(self._role, ()):
            painter.setPen(QColor(color))
            painter.drawText(strip.adjusted(4, 0, -4, 0), side | middle, word)
        painter.end()


def _paint_scores(painter: QPainter, strip: QRectF) -> None:
    step = strip.width() / len(Score)
    for index, score in enumerate(Score):
        cell = QRectF(index * step, 0, step, strip.height())
        painter.fillRect(cell, QColor(SCORE_COLORS[score]))
        painter.setPen(QColor(LIGHT if score in _DARK_STEPS else DARK))
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, str(score))


def _fill(role: Role, strip: QRectF) -> QColor | QLinearGradient:
    if role is Role.SYNTHETIC_IHC:
        return QColor(SYNTHETIC)
    stops = ATTENTION_STOPS if role is Role.ATTENTION else BRANCH_STOPS
    gradient = QLinearGradient(strip.topLeft(), strip.topRight())
    for index, color in enumerate(stops):
        gradient.setColorAt(index / (len(stops) - 1), QColor(color))
    return gradient
