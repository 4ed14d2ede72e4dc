"""Put off work that would otherwise run on every mouse move or tile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakMethod

from qtpy.QtCore import QTimer


def later(method: Callable[[], Any], interval_ms: int) -> QTimer:
    """Return a stopped one-shot timer that calls a bound method.

    Start it with :func:`soon`. The timer does not keep the method's owner alive:
    Qt's own connection to a bound method would, for ever.
    """
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.timeout.connect(partial(_call, WeakMethod(method)))
    return timer


def soon(timer: QTimer) -> None:
    """Start a timer unless it runs already: at most one call per interval."""
    if not timer.isActive():
        timer.start()


def _call(reference: WeakMethod[Any]) -> None:
    method = reference()
    if method is not None:
        method()
