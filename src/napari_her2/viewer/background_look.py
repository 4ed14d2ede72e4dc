"""A look at the open slides on a worker thread, soon after they are opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, Generic, TypeVar

from napari.qt.threading import create_worker

from napari_her2.app.session import Session
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later
from napari_her2.viewer.worker import give_way

Seen = TypeVar("Seen")


class BackgroundLook(Generic[Seen]):
    """Looks once at the slides of a session; other slides make it look again.

    A run that is started earlier takes the look itself. What cannot be read is
    left for the run to say. Subclasses say what is looked for (:meth:`find`) and
    who is told (:meth:`tell`).

    Parameters
    ----------
    session
        Whose slides.
    rest_ms
        How long after a change it begins: the slide is painted first.
    """

    def __init__(self, session: Session, rest_ms: int) -> None:
        self._session = session
        self._worker: Any = None
        self._abandoned = Event()
        self._timer = later(self.start, rest_ms)
        session.state.events.pair.connect(self._on_pair)

    def find(self) -> Callable[[], Seen] | None:
        """Return the look, for any thread; None where nothing is to be done."""
        raise NotImplementedError

    def tell(self, seen: Seen) -> None:
        """Hand on what was seen, in the main thread."""
        raise NotImplementedError

    def start(self) -> None:
        """Look at the open slides now, if that is still to be done."""
        if self._worker is not None:
            self._timer.start()  # it still reads slides that were closed
            return
        look = self.find()
        if look is None:
            return
        self._abandoned = Event()
        worker = create_worker(_drive, look, self._abandoned, _start_thread=False)
        worker.returned.connect(partial(self._on_returned, self._abandoned))
        worker.finished.connect(self._on_finished)
        self._worker = worker
        worker.start()

    def look_again(self) -> None:
        """Drop what is being looked at, and begin anew after a rest."""
        self._abandoned.set()
        self._timer.start()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self.look_again()

    def _on_returned(self, abandoned: Event, seen: Seen | None) -> None:
        if seen is not None and not abandoned.is_set():
            self.tell(seen)

    def _on_finished(self) -> None:
        self._worker = None


def _drive(look: Callable[[], Seen], abandoned: Event) -> Seen | None:
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
