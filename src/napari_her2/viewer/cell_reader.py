"""Reads the cells of the open IHC slide on a worker thread."""

from __future__ import annotations

from napari_her2.app.cell_steps import CellStep
from napari_her2.app.session import Session
from napari_her2.app.status import Notice
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.worker import Ended, StepWorker


class CellReader:
    """At most one reading of cells of a session.

    Parameters
    ----------
    session
        Whose cells are read.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: StepWorker[CellStep] = StepWorker(session.cells.absorb, self._end)
        session.state.events.pair.connect(self._on_pair)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker.is_busy

    def start(self) -> None:
        """Read the cells of the target; a notice says why when that cannot be done."""
        if self.is_busy:
            text = "The last reading is still stopping. Try again in a moment."
            self._session.state.notice = Notice(text)
            return
        with noticed(self._session):
            self._worker.start(self._session.cells.begin())

    def cancel(self) -> None:
        """Stop after the tile that is being read; nothing is called then."""
        self._worker.cancel()

    def abandon(self) -> None:
        """Stop because the slides are gone; no error counts now."""
        self._worker.abandon()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self.abandon()

    def _end(self, how: Ended, problem: str) -> None:
        if how is not Ended.ABANDONED:
            self._session.cells.end(problem)
