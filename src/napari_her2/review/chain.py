"""Lines of a journal, each carrying the hash of the one before it.

A changed, missing or reordered line breaks the chain. That is evidence against
partial edits only: whoever holds the whole file can write a new chain, which is
why exports carry the hash of the last line.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from napari_her2 import __version__
from napari_her2.review.codec import encode, kind_of
from napari_her2.review.events import AnyEvent


class Line(NamedTuple):
    """One event as it is stored; ``hash`` covers everything before it.

    ``utc`` repeats the time of the event on this machine's clock, ``os_user``
    is who was logged in (the reader is in the ``payload``), and ``software`` is
    the version that wrote the line.
    """

    seq: int
    prev_hash: str
    utc: str
    case_id: str
    region_id: str
    kind: str
    payload: str
    os_user: str
    software: str
    hash: str

    @property
    def is_intact(self) -> bool:
        """Whether the line is as it was written."""
        return self.hash == _digest(self[:-1])


START = Line(0, "", "", "", "", "", "", "", "", "0" * 64)
"""What stands before the first line; its hash is 64 zeros."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first line of a journal that is not as it was written."""

    seq: int
    problem: str


def line_after(last: Line, event: AnyEvent) -> Line:
    """Return the line that adds an event to the chain.

    Raises
    ------
    ValueError
        If the event holds a number that is not finite, or text that no file
        can hold.
    """
    content = (
        last.seq + 1,
        last.hash,
        event.utc.isoformat(),
        event.key.case_id,
        event.key.region_id,
        kind_of(event),
        encode(event),
        _os_user(),
        __version__,
    )
    return Line(*content, _digest(content))


def first_break(lines: Iterable[Line], n_written: int) -> Break | None:
    """Return where the chain is broken, None if it is whole.

    Parameters
    ----------
    lines
        All lines in order of ``seq``.
    n_written
        How many there should be.
    """
    last = START
    for line in lines:
        if line.seq != last.seq + 1:
            return Break(last.seq + 1, "is missing")
        if not line.is_intact:
            return Break(line.seq, "is not as it was written")
        if line.prev_hash != last.hash:
            return Break(line.seq, "does not follow the one before it")
        last = line
    return None if last.seq == n_written else Break(last.seq + 1, "is missing")


def _digest(content: tuple[object, ...]) -> str:
    # a damaged file may hold another type, which must give another hash, no error
    text = json.dumps(content, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return "unknown"
