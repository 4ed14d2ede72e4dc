"""Has the model look at an open case on a worker thread, before anyone runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_her2.app.session import Session
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later
from napari_her2.viewer.runner import give_way

REST_MS = 1500
"""The slide is painted first: the look loads torch, which slows a window down."""

Refusals = tuple[str, ...]


class Screener:
    """Tells a session which slides its model does not know.

    A run that is started earlier takes the look itself. What cannot be read is
    left for the run to say.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: Any = None
        self._abandoned = Event()
        self._timer = later(self.start, REST_MS)
        session.state.events.pair.connect(self._on_pair)
        session.state.events.bundle.connect(self._on_changed)

    def start(self) -> None:
        """Look at the open slides now, if that is still to be done."""
        if self._worker is not None:
            self._timer.start()  # it still reads slides that were closed
            return
        look = self._session.first_look()
        if look is None:
            return
        self._abandoned = Event()
        worker = create_worker(_drive, look, self._abandoned, _start_thread=False)
        worker.returned.connect(partial(self._on_returned, self._abandoned))
        worker.finished.connect(self._on_finished)
        self._worker = worker
        worker.start()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self._on_changed()

    def _on_changed(self) -> None:
        self._abandoned.set()
        self._timer.start()

    def _on_returned(self, abandoned: Event, refusals: Refusals | None) -> None:
        if refusals is not None and not abandoned.is_set():
            self._session.refuse(refusals)

    def _on_finished(self) -> None:
        self._worker = None


def _drive(look: Callable[[], Refusals], abandoned: Event) -> Refusals | None:
    """Take the look; None where nothing can be said."""
    give_way()
    try:
        return look()
    except Her2Error:
        return None
    except Exception:
        if not abandoned.is_set():
            raise
        return None
