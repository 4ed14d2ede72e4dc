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
    STEP_COLORS,
    SYNTHETIC,
)
from napari_her2.viewer.roles import Role

WIDTH_PX, HEIGHT_PX = 104, 16
LIGHT, DARK = "#ffffff", "#101418"
_DARK_STEPS = (SCORE_COLORS[Score.ZERO], SCORE_COLORS[Score.THREE], *STEP_COLORS[3:])
_SCORES = tuple((color, str(score)) for score, color in SCORE_COLORS.items())
_SHARES = tuple(zip(STEP_COLORS, ("0", "≤10", "≤30", "≤60", ">60"), strict=True))

Word = tuple[str, Qt.AlignmentFlag, str]
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_WORDS: dict[Role, tuple[Word, ...]] = {
    Role.SYNTHETIC_IHC: (("not a stain", Qt.AlignmentFlag.AlignHCenter, LIGHT),),
    Role.ATTENTION: (("0", _LEFT, LIGHT), ("1", _RIGHT, DARK)),
    Role.BRANCH_SHARE: (("IHC", _LEFT, LIGHT), ("H&E", _RIGHT, LIGHT)),
}
_STEPS = {Role.SCORE_MAP: _SCORES, Role.CELL_MAP: _SHARES}


class Legend(QWidget):
    """The legend of one overlay."""

    def __init__(self, role: Role, width_px: int = WIDTH_PX) -> None:
        super().__init__()
        self._role = role
        self.setFixedSize(width_px, HEIGHT_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the strip and its words."""
        painter = QPainter(self)
        painter.setOpacity(1.0 if self.isEnabled() else 0.3)
        strip = QRectF(0, 0, self.width(), self.height())
        if self._role in _STEPS:
            _paint_steps(painter, strip, _STEPS[self._role])
        else:
            painter.fillRect(strip, _fill(self._role, strip))
        middle = Qt.AlignmentFlag.AlignVCenter
        for word, side, color in _WORDS.get(self._role, ()):
            painter.setPen(QColor(color))
            painter.drawText(strip.adjusted(4, 0, -4, 0), side | middle, word)
        painter.end()


def _paint_steps(
    painter: QPainter, strip: QRectF, steps: tuple[tuple[str, str], ...]
) -> None:
    width = strip.width() / len(steps)
    for index, (color, word) in enumerate(steps):
        cell = QRectF(index * width, 0, width, strip.height())
        painter.fillRect(cell, QColor(color))
        painter.setPen(QColor(LIGHT if color in _DARK_STEPS else DARK))
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, word)


def _fill(role: Role, strip: QRectF) -> QColor | QLinearGradient:
    if role is Role.SYNTHETIC_IHC:
        return QColor(SYNTHETIC)
    stops = ATTENTION_STOPS if role is Role.ATTENTION else BRANCH_STOPS
    gradient = QLinearGradient(strip.topLeft(), strip.topRight())
    for index, color in enumerate(stops):
        gradient.setColorAt(index / (len(stops) - 1), QColor(color))
    return gradient
