"""Registers the open slides, or checks how they lie, on a worker thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_her2.app.pairing import Step
from napari_her2.app.session import Session
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.runner import give_way

REST_MS = 800
"""The slide is painted before the first check of how its pair lies."""


class Registrar:
    """At most one registration or check of a session.

    A registration that nobody checked yet (from a manifest, moved by hand, none at
    all) is checked by itself.

    Attributes
    ----------
    is_eager : bool
        Whether slides without a manifest that nobody registered are registered by
        themselves, once.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: Any = None
        self._is_wanted = False
        self._abandoned = Event()
        self.is_eager = False
        self._tried: Any = None
        self._timer = later(self._begin, REST_MS)
        session.state.events.pair.connect(self._on_pair)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker is not None

    def register(self) -> None:
        """Register the slides; a notice says why when that cannot be done."""
        if self.is_busy:
            self._is_wanted = True  # its thread has yet to end
            return
        with noticed(self._session):
            self._start(self._session.pairing.begin())

    def check(self) -> None:
        """Measure how far the registration is off, if that is not known."""
        if self.is_busy:
            self._timer.start()
            return
        steps = self._session.pairing.begin_check()
        if steps is not None:
            self._start(steps)

    def _begin(self) -> None:
        """Do what needs no asking, now that the slides are open."""
        pair, pairing = self._session.state.pair, self._session.pairing
        is_new = pair is not None and pair.slides != self._tried
        if self.is_eager and is_new and pairing.is_unasked and not self.is_busy:
            self._tried = None if pair is None else pair.slides
            self.register()
        else:
            self.check()

    def cancel(self) -> None:
        """Stop at the next step; the registration stays as it is."""
        self._abandoned.set()
        self._is_wanted = False
        if self._worker is not None:
            self._worker.quit()
            self._session.pairing.end()

    def _start(self, steps: Iterator[Step]) -> None:
        self._abandoned = abandoned = Event()
        worker = create_worker(_drive, steps, abandoned, _start_thread=False)

        def absorb(step: Step) -> None:
            if not abandoned.is_set():
                self._session.pairing.absorb(step)

        def end(problem: str | None) -> None:
            if not abandoned.is_set():
                self._session.pairing.end(problem or "")

        worker.yielded.connect(absorb)
        worker.returned.connect(end)
        worker.errored.connect(lambda error: end(f"Registering stopped: {error!r}"))
        worker.finished.connect(self._on_finished)
        self._worker = worker
        worker.start()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self.cancel()
            self._tried = None
        self._timer.start()

    def _on_finished(self) -> None:
        self._worker = None
        if self._is_wanted:
            self._is_wanted = False
            self.register()


def _drive(
    steps: Iterator[Step], abandoned: Event
) -> Generator[Step, None, str | None]:
    """Hand on the steps; what goes wrong with the slides comes back in words."""
    give_way()
    try:
        yield from steps
    except Her2Error as error:
        return str(error)
    except Exception:
        if not abandoned.is_set():
            raise
    return None
