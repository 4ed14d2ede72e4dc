"""Base of the docks: a calm column that draws a desk's state.

A dock emits what the reader wants to the session and draws what the state says.
It listens only while it lives: psygnal forgets a widget that is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakMethod

from psygnal import SignalInstance
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_her2.core.score import Call
from napari_her2.viewer.desk import Desk
from napari_her2.widgets.style import COLUMN_PX, GAP_PX, MARGIN_PX, STYLE

Subscriptions = list[tuple[SignalInstance, WeakMethod[Any]]]


class Listener(QWidget):
    """A widget that follows signals until Qt deletes it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.session = desk.session
        self._subscriptions: Subscriptions = []
        self.destroyed.connect(partial(_unsubscribe, self._subscriptions))

    def follow(self, draw: Callable[[], Any], *signals: SignalInstance) -> None:
        """Draw now, and again whenever one of the signals is emitted."""
        for signal in signals:
            signal.connect(draw)
            self._subscriptions.append((signal, WeakMethod(draw)))
        draw()

    @property
    def own_first_read(self) -> Call | None:
        """What the reader at the screen first said of the selected region."""
        row, reader = self.session.state.selected, self.session.state.reader
        if row is None or reader is None:
            return None
        return row.record.first_read_of(reader)


class Panel(Listener):
    """A dock's content: one scrolling column over a footer that stays."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.setStyleSheet(STYLE)
        self.setMinimumWidth(COLUMN_PX)
        self._content = QWidget()
        self.column = QVBoxLayout(self._content)
        self.column.setContentsMargins(MARGIN_PX, 4, MARGIN_PX, 0)
        self.column.setSpacing(GAP_PX)
        scroll = QScrollArea()
        scroll.setWidget(self._content)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.footer = QVBoxLayout()
        self.footer.setContentsMargins(MARGIN_PX, 2, MARGIN_PX, 4)
        outer.addLayout(self.footer)

    def sizeHint(self) -> QSize:
        """Ask for room to show the whole column without scrolling."""
        width = max(self.width(), COLUMN_PX)
        height = self.column.heightForWidth(width)
        height = max(height, self._content.sizeHint().height())
        return QSize(COLUMN_PX, height + self.footer.sizeHint().height())


def _unsubscribe(subscriptions: Subscriptions, *_: object) -> None:
    for signal, reference in subscriptions:
        if (draw := reference()) is not None:
            signal.disconnect(draw, missing_ok=True)
    subscriptions.clear()
