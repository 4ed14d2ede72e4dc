"""Runs the AI on a worker thread and brings its progress to the main thread."""

from __future__ import annotations

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import AppProgress, Session
from napari_her2.app.status import Notice, RunPhase
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.worker import Ended, StepWorker

_PHASES = {
    Ended.FINISHED: RunPhase.FINISHED,
    Ended.FAILED: RunPhase.FAILED,
    Ended.CANCELLED: RunPhase.CANCELLED,
    Ended.ABANDONED: RunPhase.CANCELLED,
}


class Runner:
    """At most one run of a session.

    Parameters
    ----------
    session
        Whose plan is run and whose state follows.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: StepWorker[AppProgress] = StepWorker(session.absorb, self._end)
        session.state.events.pair.connect(self._on_pair)
        session.state.events.bundle.connect(self.abandon)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker.is_busy

    def start(self, target: RunTarget) -> None:
        """Run on a target; a notice says why when it cannot run."""
        if self.is_busy:
            text = "The last run is still stopping. Try again in a moment."
            self._session.state.notice = Notice(text)
            return
        with noticed(self._session):
            self._worker.start(self._session.begin_run(self._session.plan(target)))

    def cancel(self) -> None:
        """Stop after the batch that is being computed; finished tiles stay."""
        self._worker.cancel()

    def abandon(self) -> None:
        """Stop because the slides or the model are gone; no error counts now."""
        self._worker.abandon()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if (
            now is None
            or before is None
            or now.slides != before.slides
            or now.he_to_ihc != before.he_to_ihc
        ):
            self.abandon()

    def _end(self, how: Ended, problem: str) -> None:
        self._session.end_run(_PHASES[how], problem)
