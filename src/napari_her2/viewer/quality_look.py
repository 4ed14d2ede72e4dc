"""Has the quality of an open case assessed on a worker thread."""

from __future__ import annotations

from collections.abc import Callable

from napari_her2.app.quality import Reports
from napari_her2.app.session import Session
from napari_her2.viewer.background_look import BackgroundLook

REST_MS = 400


class QualityLook(BackgroundLook[Reports]):
    """Tells a session what is wrong with its slides."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, REST_MS)
        session.state.events.controls.connect(self.look_again)

    def find(self) -> Callable[[], Reports] | None:
        """Return the assessment of slides that had none."""
        return self._session.quality.look()

    def tell(self, seen: Reports) -> None:
        """Take in what was found."""
        self._session.quality.take(seen)
