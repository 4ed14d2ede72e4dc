"""Share of each membrane pattern with its interval; a click shows or hides it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QToolTip, QWidget

from napari_her2.core.guideline import CUTOFF
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.proportion import Interval
from napari_her2.viewer.palette import PATTERN_COLORS
from napari_her2.widgets.pattern_words import LONG, SHORT, share_words

ROW_PX = 18
DOT_PX = 16
LABEL_PX = 144
FIGURE_PX = 48
_ORDER = tuple(reversed(MembranePattern))


class PatternBars(QWidget):
    """Five rows, the strongest pattern on top, with a mark at 10 %."""

    toggled = Signal(object)
    """The pattern whose row was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: tuple[Interval, ...] = ()
        self._shown: frozenset[MembranePattern] = frozenset(MembranePattern)
        self.setFixedHeight(self.sizeHint().height())
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_shares(
        self, shares: Sequence[Interval], shown: frozenset[MembranePattern]
    ) -> None:
        """Draw shares, in the order of the patterns, and which are on the slide."""
        self._shares, self._shown = tuple(shares), shown
        self.setAccessibleDescription(
            ", ".join(
                f"{SHORT[each]} {share_words(self._shares[each])}"
                for each in _ORDER
                if self._is_known(each)
            )
        )
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for one row per pattern."""
        return QSize(240, ROW_PX * len(_ORDER))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Say which row was clicked."""
        self.toggled.emit(self._at(event.position().y()))

    def event(self, event: QEvent) -> bool:
        """Give each row its own tooltip."""
        if isinstance(event, QHelpEvent):
            pattern = self._at(event.pos().y())
            figures = (
                share_words(self._shares[pattern]) if self._is_known(pattern) else ""
            )
            verb = "hide" if pattern in self._shown else "show"
            text = f"{LONG[pattern]}: {figures}\nClick to {verb} these cells"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw dot, name, bar with whisker, and percentage of each pattern."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, pattern in enumerate(_ORDER):
            self._paint_row(painter, row * ROW_PX, pattern)
        painter.end()

    def _paint_row(
        self, painter: QPainter, top: float, pattern: MembranePattern
    ) -> None:
        is_shown = pattern in self._shown
        color = QColor(PATTERN_COLORS[pattern])
        text = self.palette().windowText().color()
        if not is_shown:
            text.setAlphaF(0.45)
            color.setAlphaF(0.45)
        middle = top + ROW_PX / 2
        painter.setPen(QPen(color, 2))
        painter.setBrush(color if is_shown else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(6, middle), 4, 4)
        painter.setPen(text)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(DOT_PX, top, LABEL_PX, ROW_PX), left, SHORT[pattern])
        room = self.width() - DOT_PX - LABEL_PX - FIGURE_PX
        x0 = DOT_PX + LABEL_PX
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(128, 136, 148, 50))
        painter.drawRoundedRect(QRectF(x0, top + 4, room, ROW_PX - 8), 3, 3)
        if not self._is_known(pattern):
            return
        share = self._shares[pattern]
        painter.setBrush(color)
        painter.drawRoundedRect(
            QRectF(x0, top + 4, max(room * share.value, 1), ROW_PX - 8), 3, 3
        )
        painter.setPen(QPen(text, 1))
        low, high = x0 + room * share.low, x0 + room * share.high
        painter.drawLine(QPointF(low, middle), QPointF(high, middle))
        for end in (low, high):
            painter.drawLine(QPointF(end, middle - 3), QPointF(end, middle + 3))
        faint = QPen(QColor(128, 136, 148, 170), 1, Qt.PenStyle.DotLine)
        painter.setPen(faint)
        cut = x0 + room * CUTOFF
        painter.drawLine(QPointF(cut, top), QPointF(cut, top + ROW_PX))
        painter.setPen(text)
        figure = QRectF(self.width() - FIGURE_PX, top, FIGURE_PX, ROW_PX)
        painter.drawText(figure, right, f"{100 * share.value:.1f} %")

    def _is_known(self, pattern: MembranePattern) -> bool:
        return bool(self._shares) and math.isfinite(self._shares[pattern].value)

    def _at(self, y: float) -> MembranePattern:
        row = min(max(int(y // ROW_PX), 0), len(_ORDER) - 1)
        return _ORDER[row]
