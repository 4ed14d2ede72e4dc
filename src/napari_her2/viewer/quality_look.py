"""Has the quality of an open case assessed on a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_her2.app.quality import Reports
from napari_her2.app.session import Session
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later
from napari_her2.viewer.runner import give_way

REST_MS = 400
"""The slide is painted first."""


class QualityLook:
    """Tells a session what is wrong with its slides, soon after they are opened.

    A run that is started earlier takes the look itself. What cannot be read is
    left for the run to say.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: Any = None
        self._abandoned = Event()
        self._timer = later(self.start, REST_MS)
        session.state.events.pair.connect(self._on_pair)

    def start(self) -> None:
        """Assess the open slides now, if that is still to be done."""
        if self._worker is not None:
            self._timer.start()  # it still reads slides that were closed
            return
        look = self._session.quality.look()
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
            self._abandoned.set()
            self._timer.start()

    def _on_returned(self, abandoned: Event, reports: Reports | None) -> None:
        if reports is not None and not abandoned.is_set():
            self._session.quality.take(reports)

    def _on_finished(self) -> None:
        self._worker = None


def _drive(look: Callable[[], Reports], abandoned: Event) -> Reports | None:
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
