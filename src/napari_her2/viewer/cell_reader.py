"""Reads the cells of the open IHC slide on a worker thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_her2.app.cell_reading import CellStep
from napari_her2.app.session import Session
from napari_her2.app.status import Notice
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.runner import give_way


class CellReader:
    """At most one reading of cells of a session.

    Parameters
    ----------
    session
        Whose cells are read.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: Any = None
        self._abandoned = Event()
        session.state.events.pair.connect(self._on_pair)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker is not None

    def start(self) -> None:
        """Read the cells of the target; a notice says why when that cannot be done."""
        if self.is_busy:
            text = "The last reading is still stopping. Try again in a moment."
            self._session.state.notice = Notice(text)
            return
        with noticed(self._session):
            self._start(self._session.cells.begin())

    def cancel(self) -> None:
        """Stop after the tile that is being read; nothing is called then."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Stop because the slides are gone; no error counts now."""
        self._abandoned.set()
        self.cancel()

    def _start(self, steps: Iterator[CellStep]) -> None:
        self._abandoned = abandoned = Event()
        worker = create_worker(_drive, steps, abandoned, _start_thread=False)
        cells = self._session.cells

        def absorb(step: CellStep) -> None:
            if not abandoned.is_set():
                cells.absorb(step)

        def end(problem: str | None = None) -> None:
            if not abandoned.is_set():
                cells.end(problem or "")

        worker.yielded.connect(absorb)
        worker.returned.connect(end)
        worker.aborted.connect(end)
        worker.errored.connect(lambda error: end(f"Reading stopped: {error!r}"))
        worker.finished.connect(self._on_finished)
        self._worker = worker
        worker.start()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if now is None or not now.same_slides(before):
            self.abandon()

    def _on_finished(self) -> None:
        self._worker = None


def _drive(
    steps: Iterator[CellStep], abandoned: Event
) -> Generator[CellStep, None, str | None]:
    """Hand on the steps; what goes wrong with the slide comes back in words."""
    give_way()
    try:
        yield from steps
    except Her2Error as error:
        return str(error)
    except Exception:
        if not abandoned.is_set():
            raise
    return None
