"""Registers the open slides, or checks how they lie, on a worker thread."""

from __future__ import annotations

from napari_her2.app.pairing import Step
from napari_her2.app.session import Session
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.worker import Ended, StepWorker

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
        self._worker: StepWorker[Step] = StepWorker(
            session.pairing.absorb, self._end, self._on_free
        )
        self._is_wanted = False
        self.is_eager = False
        self._tried: object = None
        self._timer = later(self._begin, REST_MS)
        session.state.events.pair.connect(self._on_pair)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker.is_busy

    def register(self) -> None:
        """Register the slides; a notice says why when that cannot be done."""
        if self.is_busy:
            self._is_wanted = True  # its thread has yet to end
            return
        with noticed(self._session):
            self._worker.start(self._session.pairing.begin())

    def check(self) -> None:
        """Measure how far the registration is off, if that is not known."""
        if self.is_busy:
            self._timer.start()
            return
        steps = self._session.pairing.begin_check()
        if steps is not None:
            self._worker.start(steps)

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
        self._is_wanted = False
        self._worker.abandon()
        if self.is_busy:
            self._session.pairing.end()  # the thread may take a while to its next step

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self.cancel()
            self._tried = None
        self._timer.start()

    def _end(self, how: Ended, problem: str) -> None:
        self._session.pairing.end(problem)

    def _on_free(self) -> None:
        if self._is_wanted:
            self._is_wanted = False
            self.register()
