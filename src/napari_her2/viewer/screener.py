"""Has the model look at an open case on a worker thread, before anyone runs it."""

from __future__ import annotations

from collections.abc import Callable

from napari_her2.app.session import Session
from napari_her2.viewer.background_look import BackgroundLook

REST_MS = 1500
"""The look loads torch, which slows a window down."""

Refusals = tuple[str, ...]


class Screener(BackgroundLook[Refusals]):
    """Tells a session which slides its model does not know."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, REST_MS)
        session.state.events.bundle.connect(self.look_again)

    def find(self) -> Callable[[], Refusals] | None:
        """Return the first look of the model."""
        return self._session.first_look()

    def tell(self, seen: Refusals) -> None:
        """Refuse what the model does not know."""
        self._session.refuse(seen)
