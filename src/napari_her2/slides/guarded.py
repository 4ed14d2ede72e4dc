"""Open a slide in a worker process, and go on when that worker dies.

A worker that crashed, hung or was killed costs the reads that were under way: each
raises a :class:`SlideError`. The *next* read starts a new worker, so that one bad
moment does not close a slide that a person is reading; a block that was under way
at two deaths is not asked for again, and after three new workers the slide stays
refused until it is opened again, so that a hostile file cannot keep the machine
busy. The new worker must find the same content.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.decoder_limits import DecoderLimits, usual_limits
from napari_her2.slides.formats import open_source
from napari_her2.slides.source import SlideSource

if TYPE_CHECKING:
    from napari_her2.slides.decoder import Decoder

HAS_WORKERS: Final = os.name == "posix"
"""Elsewhere slides are decoded in the reader's own process."""

_DEATHS_OF_A_BLOCK: Final = 2
_DAMAGED: Final = "The file may be damaged; copy or export it again."

Place = tuple[int, int, int]
"""(level, row, col) of a block."""


def open_guarded(
    path: Path,
    limits: DecoderLimits | None = None,
    *,
    name: str = "Slide",
    use_profile: bool = False,
) -> SlideSource:
    """Open a slide in a process of its own.

    Parameters
    ----------
    path
        A file, or the folder of an OME-Zarr image.
    limits
        Those for this machine when None.
    name
        What errors call the slide; never its path.
    use_profile
        Whether colours are brought to sRGB; the worker does that too.

    Raises
    ------
    SlideError
        If the slide is refused, or opening it crashed, hung or took too much.
    """
    if not HAS_WORKERS:
        try:
            return open_source(path, use_profile=use_profile)
        except SlideError as error:
            error.name_it(name)
            raise
    guard = _Guard(path, limits or usual_limits(), name, use_profile)
    form = guard.form
    levels = [GuardedBlocks(guard, index) for index in range(len(form.levels))]
    return SlideSource(
        levels,
        form.mpp,
        form.fingerprint,
        guard.close,
        form.is_synthetic,
        colours=form.colours,
        colours_key=form.colours_key,
    )


class GuardedBlocks:
    """The blocks of one level, decoded by the slide's worker."""

    def __init__(self, guard: _Guard, index: int) -> None:
        self._guard = guard
        self._index = index
        form = guard.form.levels[index]
        self.shape = form.shape
        self.block_px = form.block_px

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge of the image.

        Raises
        ------
        SlideError
            If it is damaged, or the worker died of it.
        """
        return self._guard.read_block((self._index, row, col))


class _Guard:
    """The worker of one slide, replaced when it dies."""

    def __init__(
        self, path: Path, limits: DecoderLimits, name: str, use_profile: bool
    ) -> None:
        self._path = path
        self._use_profile = use_profile
        self._limits = limits
        self._name = name
        self._lock = threading.Lock()
        self._is_closed = False
        self._n_restarts = 0
        self._deaths: Counter[Place] = Counter()
        self._decoder = self._start()
        self.form = self._decoder.form

    def read_block(self, place: Place) -> NDArray[np.uint8]:
        # imported late: it needs what only POSIX has
        from napari_her2.slides.decoder import DecoderGone

        if self._deaths[place] >= _DEATHS_OF_A_BLOCK:
            raise self._error("its worker died twice while it read this block")
        decoder = self._living()
        try:
            return decoder.read_block(*place)
        except SlideError as error:
            error.name_it(self._name)
            raise
        except DecoderGone as gone:
            if self._is_closed:
                raise self._closed() from None
            self._deaths[place] += 1
            raise self._error(str(gone)) from None

    def close(self) -> None:
        """End the worker; safe to call twice."""
        self._is_closed = True
        with self._lock:
            self._decoder.close()

    def _living(self) -> Decoder:
        """Return the worker, a new one where it died."""
        with self._lock:
            if self._is_closed:
                raise self._closed()
            if not self._decoder.is_alive:
                self._decoder.close()
                if self._n_restarts >= self._limits.restarts:
                    raise self._error("its worker died too often")
                self._n_restarts += 1
                decoder = self._start()
                if decoder.form != self.form:
                    decoder.close()
                    raise self._error("it was changed while it was open")
                self._decoder = decoder
            return self._decoder

    def _start(self) -> Decoder:
        from napari_her2.slides.decoder import Decoder, DecoderGone

        try:
            return Decoder(self._path, self._limits, use_profile=self._use_profile)
        except SlideError as error:
            error.name_it(self._name)
            raise
        except DecoderGone as gone:
            raise self._error(str(gone)) from None
        except OSError as error:
            raise SlideError(
                self._path,
                f"no process can be started to read it ({error.strerror}).",
                "Close other programs, then open it again.",
                self._name,
            ) from error

    def _error(self, problem: str) -> SlideError:
        return SlideError(self._path, f"{problem}.", _DAMAGED, self._name)

    def _closed(self) -> SlideError:
        problem, next_step = "it was closed.", "Open the slide again."
        return SlideError(self._path, problem, next_step, self._name)
