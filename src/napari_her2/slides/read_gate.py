"""Let many threads read through a library's handle, and close it only when none does.

A handle that is closed under a read is a crash in C code, not an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_her2.core.errors import SlideError


class ReadGate:
    """Counts the reads under way; once closed, none begins any more.

    Parameters
    ----------
    path
        The slide, named in the error of a read that comes too late.
    close
        Frees the handle; called once, after the last read.
    """

    def __init__(self, path: Path, close: Callable[[], None]) -> None:
        self._path = path
        self._close = close
        self._idle = threading.Condition()
        self._n_readers = 0
        self._is_closed = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the handle open for the length of a ``with`` block.

        Raises
        ------
        SlideError
            If the slide was closed.
        """
        with self._idle:
            if self._is_closed:
                raise SlideError(self._path, "it was closed.", "Open the slide again.")
            self._n_readers += 1
        try:
            yield
        finally:
            with self._idle:
                self._n_readers -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Close once the reads under way are done; safe to call twice."""
        with self._idle:
            is_first = not self._is_closed
            self._is_closed = True
            self._idle.wait_for(lambda: self._n_readers == 0)
        if is_first:
            self._close()
