"""Long work, a generator of steps, on a thread beside the window."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from threading import Event
from typing import Any, Generic, TypeVar

from napari.qt.threading import create_worker
from superqt.utils import WorkerBase

from napari_her2.core.errors import Her2Error

NICENESS = 10
LEAVE_MS = 30_000
"""How long the program waits at its end for work that runs."""

Step = TypeVar("Step")


class Ended(Enum):
    """How work ended. Of abandoned work nothing counts any more, no error either."""

    FINISHED = auto()
    FAILED = auto()
    CANCELLED = auto()
    ABANDONED = auto()


class StepWorker(Generic[Step]):
    """Drives one generator at a time; all else happens in the main thread.

    Parameters
    ----------
    absorb
        Takes each step in, unless the work was abandoned.
    end
        Told once how the work ended, and in words what went wrong where it failed.
    free
        Called once the thread has ended and another may begin.
    """

    def __init__(
        self,
        absorb: Callable[[Step], object],
        end: Callable[[Ended, str], object],
        free: Callable[[], object] = lambda: None,
    ) -> None:
        self._absorb = absorb
        self._end = end
        self._free = free
        self._worker: Any = None
        self._abandoned = Event()

    @property
    def is_busy(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._worker is not None

    def start(self, steps: Iterator[Step]) -> None:
        """Begin; there must be no other work on the thread."""
        self._abandoned = abandoned = Event()
        worker = create_worker(_drive, steps, abandoned, _start_thread=False)
        worker.yielded.connect(partial(self._on_step, abandoned))
        worker.returned.connect(partial(self._on_returned, abandoned))
        worker.aborted.connect(partial(self._tell, abandoned, Ended.CANCELLED))
        worker.errored.connect(partial(self._on_crashed, abandoned))
        worker.finished.connect(partial(self._on_finished, steps))
        self._worker = worker
        worker.start()

    def cancel(self) -> None:
        """Stop at the next step."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Stop because what was worked on is gone."""
        self._abandoned.set()
        self.cancel()

    def _on_step(self, abandoned: Event, step: Step) -> None:
        if not abandoned.is_set():
            self._absorb(step)

    def _on_returned(self, abandoned: Event, problem: str | None) -> None:
        how = Ended.FINISHED if problem is None else Ended.FAILED
        self._tell(abandoned, how, problem or "")

    def _on_crashed(self, abandoned: Event, error: Exception) -> None:
        # napari shows the traceback; a dock must not stay on "running"
        self._tell(abandoned, Ended.FAILED, f"The work stopped: {error!r}")

    def _tell(self, abandoned: Event, how: Ended, problem: str = "") -> None:
        if abandoned.is_set():
            how, problem = Ended.ABANDONED, ""
        self._end(how, problem)

    def _on_finished(self, steps: Iterator[Step]) -> None:
        self._worker = None
        if isinstance(steps, Generator):
            steps.close()
        self._free()


def _drive(
    steps: Iterator[Step], abandoned: Event
) -> Generator[Step, None, str | None]:
    """Hand on the steps; an error of this package comes back in words."""
    give_way()
    try:
        yield from steps
    except Her2Error as error:
        return str(error)
    except Exception:
        if not abandoned.is_set():
            raise
    return None


def give_way() -> None:
    """Let the window go first where work and the window share the processors.

    On Linux a thread has a niceness of its own, and the threads it starts (those
    that read, write and compute) inherit it; elsewhere nothing is changed.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@atexit.register
def wait_for_threads(most_ms: int = LEAVE_MS) -> None:
    """Stop all work, and wait for its threads before the program ends.

    Qt's objects are gone soon after, and a thread that then tells of its work aborts
    the program. A window waits by itself; a script that ends does not.
    """
    with suppress(RuntimeError):
        WorkerBase.await_workers(most_ms)
