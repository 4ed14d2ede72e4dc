"""Pictures of cells, read from the IHC slide on a worker thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.slides.slide import Slide
from napari_her2.viewer.cell_outlines import thumbnail
from napari_her2.viewer.worker import Ended, StepWorker

Place = tuple[float, float]
"""The middle (y, x) of a cell in level-0 pixels of the IHC slide."""

Picture = NDArray[np.uint8]


class CellPictures:
    """Pictures (64, 64, 3) of the cells of one session's IHC slide, kept while open.

    Parameters
    ----------
    session
        Whose slide.
    """

    arrived = Signal(object)
    """The picture of this :data:`Place` is there."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pictures: dict[Place, Picture] = {}
        self._wanted: tuple[Place, ...] = ()
        self._worker: StepWorker[tuple[Place, Picture]] = StepWorker(
            self._absorb, self._end, self._read
        )
        session.state.events.pair.connect(self._on_pair)

    def get(self, place: Place) -> Picture | None:
        """Return a picture that is there."""
        return self._pictures.get(place)

    def want(self, places: Iterable[Place]) -> None:
        """Ask for pictures in place of those asked for before; each is announced."""
        self._wanted = tuple(place for place in places if place not in self._pictures)
        self._read()

    def _read(self) -> None:
        pair = self._session.state.pair
        if not self._wanted or self._worker.is_busy or pair is None or pair.ihc is None:
            return
        wanted, self._wanted = self._wanted, ()
        self._worker.start(_pictures(pair.ihc, wanted))

    def _absorb(self, found: tuple[Place, Picture]) -> None:
        place, picture = found
        self._pictures[place] = picture
        self.arrived.emit(place)

    def _end(self, how: Ended, problem: str) -> None:
        """Leave out what cannot be read: the slide layer says why."""

    def _on_pair(self, now: Any, before: Any) -> None:
        if now is None or not now.same_slides(before):
            self._worker.abandon()
            self._pictures, self._wanted = {}, ()


def _pictures(
    slide: Slide, places: tuple[Place, ...]
) -> Iterator[tuple[Place, Picture]]:
    for place in places:
        yield place, thumbnail(slide, *place)
