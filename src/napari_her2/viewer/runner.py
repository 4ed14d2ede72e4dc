"""Runs the AI on a worker thread and brings its progress to the main thread."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import AppProgress, Session
from napari_her2.app.status import Notice, RunPhase
from napari_her2.core.errors import Her2Error
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.notices import noticed

RUN_NICENESS = 10

Step = AppProgress


class Runner:
    """At most one run of a session.

    Parameters
    ----------
    session
        Whose plan is run and whose state follows.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worker: Any = None
        self._steps: Iterator[Step] | None = None
        self._abandoned = Event()
        session.state.events.pair.connect(self._on_pair)
        session.state.events.bundle.connect(self.abandon)

    @property
    def is_busy(self) -> bool:
        """Whether the worker thread has not ended yet."""
        return self._worker is not None

    def start(self, target: RunTarget) -> None:
        """Run on a target; a notice says why when it cannot run."""
        if self.is_busy:
            text = "The last run is still stopping. Try again in a moment."
            self._session.state.notice = Notice(text)
            return
        with noticed(self._session):
            self._steps = self._session.begin_run(self._session.plan(target))
            self._abandoned = Event()
            worker = create_worker(
                _drive, self._steps, self._abandoned, _start_thread=False
            )
            worker.yielded.connect(self._session.absorb)
            worker.returned.connect(self._on_returned)
            worker.aborted.connect(self._on_aborted)
            worker.errored.connect(self._on_crashed)
            worker.finished.connect(self._on_finished)
            self._worker = worker
            worker.start()

    def cancel(self) -> None:
        """Stop after the batch that is being computed; finished tiles stay."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Stop because the slides or the model are gone; no error counts now."""
        self._abandoned.set()
        self.cancel()

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        if (
            now is None
            or before is None
            or now.slides != before.slides
            or now.he_to_ihc != before.he_to_ihc
        ):
            self.abandon()

    def _on_returned(self, error: Her2Error | None) -> None:
        if error is None:
            self._session.end_run(RunPhase.FINISHED)
        else:
            self._session.end_run(RunPhase.FAILED, str(error))

    def _on_aborted(self) -> None:
        self._session.end_run(RunPhase.CANCELLED)

    def _on_crashed(self, error: Exception) -> None:
        # napari shows the traceback; the dock must not stay on "running"
        self._session.end_run(RunPhase.FAILED, f"The run stopped: {error!r}")

    def _on_finished(self) -> None:
        steps, self._steps, self._worker = self._steps, None, None
        if isinstance(steps, Generator):
            steps.close()


def _drive(
    steps: Iterator[Step], abandoned: Event
) -> Generator[Step, None, Her2Error | None]:
    """Hand on a run; an error of this package comes back as a value."""
    give_way()
    try:
        yield from steps
    except Her2Error as error:
        return error
    except Exception:
        if not abandoned.is_set():
            raise
    return None


def give_way() -> None:
    """Let the window go first where a run and the window share the processors.

    On Linux a thread has a niceness of its own, and the threads it starts (those
    that read, write and compute) inherit it; elsewhere nothing is changed.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), RUN_NICENESS)
