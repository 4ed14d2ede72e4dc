"""A reader's hand for scripts: click, drag, choose, wait, and take a picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QPushButton, QWidget


class StepError(AssertionError):
    """A step did not do what a reader would expect."""


def expect(condition: object, what: str) -> None:
    """Stop when something a reader needs is not so."""
    if not condition:
        raise StepError(what)


def wait(seconds: float) -> None:
    """Let the window live for a while."""
    QTest.qWait(round(seconds * 1000))


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Let the window live until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f"nothing happened within {seconds:g} s")
        wait(0.05)


def click(button: QPushButton) -> None:
    """Press a button with the mouse; one that is hidden or off is an error."""
    expect(button.isVisible(), f"{button.text()!r} is not on screen")
    why = button.toolTip()
    expect(button.isEnabled(), f"{button.text()!r} is off: {why}")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    wait(0.05)


def choose(box: QComboBox, value: object) -> None:
    """Pick the entry of a drop-down list that stands for a value."""
    box.setCurrentIndex(
        next(index for index in range(box.count()) if box.itemData(index) == value)
    )


def canvas_at(window: QWidget, x_px: int, y_px: int) -> QWidget:
    """Return the widget under a point of the window."""
    return QApplication.widgetAt(window.mapToGlobal(QPoint(x_px, y_px)))


def drag(canvas: QWidget, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a widget, from and to shares (x, y) of its size."""
    first, last = (
        QPoint(round(x * canvas.width()), round(y * canvas.height()))
        for x, y in (start, end)
    )
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=first)
    for share in (0.25, 0.5, 0.75, 1.0):
        QTest.mouseMove(canvas, first + (last - first) * share)
        wait(0.04)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=last)


def answer_folder_dialog(folder: Path, press: Callable[[], Any]) -> None:
    """Do what opens a folder dialog, and answer it."""

    def answer() -> None:
        line = QApplication.activeModalWidget().findChild(QLineEdit)
        line.setText(str(folder))
        QTest.keyClick(line, Qt.Key.Key_Return)

    QTimer.singleShot(1000, answer)
    press()


def take_picture(window: QWidget, path: Path) -> None:
    """Save what the screen shows of a window."""
    picture = window.screen().grabWindow(int(window.winId()))
    expect(picture.save(str(path)), f"{path.name} could not be written")
