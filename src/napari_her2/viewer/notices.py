"""Show what went wrong as a sentence in the window, never as a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_her2.app.session import Session
from napari_her2.app.status import Notice
from napari_her2.core.errors import Her2Error


@contextmanager
def noticed(session: Session) -> Iterator[None]:
    """Turn an error of this package into a notice with its next step.

    Any other error is a mistake in the program and goes on to napari.
    """
    try:
        yield
    except Her2Error as error:
        session.state.notice = Notice(str(error), is_error=True)
