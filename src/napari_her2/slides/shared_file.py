"""A file that many threads read at once, each from where it wants."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from napari_her2.core.errors import SlideError
from napari_her2.slides.broken import kind_of


class SharedFile:
    """Positional reads on one descriptor; closing waits for reads under way.

    Waiting matters: the number of a closed descriptor is soon that of another
    file, from which a late read would return foreign bytes.

    Raises
    ------
    SlideError
        If the file is missing, a folder, empty or not readable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except FileNotFoundError as error:
            raise SlideError(
                path, "the file is missing.", "Check the path, or where it was moved."
            ) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or kind_of(error)
            raise SlideError(
                path,
                f"it cannot be opened ({why}).",
                "Check that it is a file and that you may read it.",
            ) from error
        self._idle = threading.Condition()
        self._n_readers = 0
        self._is_closed = False

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly ``size`` bytes.

        Raises
        ------
        SlideError
            If the file is closed, ends before that, or its disk fails.
        """
        with self._idle:
            if self._is_closed:
                raise SlideError(self.path, "it was closed.", "Open the slide again.")
            self._n_readers += 1
        try:
            data = self._pread(offset, size)
        except OSError as error:
            raise SlideError(
                self.path,
                f"it cannot be read ({error.strerror or kind_of(error)}).",
                "Check the disk or the network share.",
            ) from error
        finally:
            with self._idle:
                self._n_readers -= 1
                self._idle.notify_all()
        if len(data) != size:
            raise SlideError(
                self.path,
                f"it ends early: {size} bytes wanted at {offset} of {self.size}.",
                "The file is truncated; copy or export it again.",
            )
        return data

    def _pread(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= self.size - size:
            return b""
        if not hasattr(os, "pread"):  # Windows
            with self._idle:
                self._file.seek(offset)
                return self._file.read(size)
        parts = []
        while size > 0:
            part = os.pread(self._file.fileno(), size, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close once the reads under way are done; safe to call twice."""
        with self._idle:
            self._is_closed = True
            self._idle.wait_for(lambda: self._n_readers == 0)
            self._file.close()
