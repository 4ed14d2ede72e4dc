"""The append-only journal: what happened, in order, on disk before it counts.

One SQLite file. Each line carries the hash of the line before it, so a change,
a gap or a lost end is found by :meth:`Journal.verify`. The chain is evidence
against partial edits only: whoever holds the whole file can write a new one,
which is why exports carry the hash of the last line.

The file uses a rollback journal, not a write-ahead log: a few lines a minute
need no speed, one plain file can be copied and works on a network share, and
SQLite then notices when the file is moved away under an open window.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from platformdirs import user_data_dir

from napari_her2 import __version__
from napari_her2.core.errors import ReviewError, StorageError
from napari_her2.review.codec import UnreadableEventError, decode, encode, kind_of
from napari_her2.review.events import AnyEvent
from napari_her2.review.record import ReviewRecord, record_of

ENV_PATH = "NAPARI_HER2_JOURNAL"
GENESIS = "0" * 64
"""What stands for the hash before the first line."""

_VERSION = 1
_BUSY_S = 5.0
_COLUMNS = (
    "seq, prev_hash, utc, case_id, region_id, kind, payload, os_user, software, hash"
)
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    prev_hash TEXT NOT NULL UNIQUE,
    utc TEXT NOT NULL,
    case_id TEXT NOT NULL,
    region_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    os_user TEXT NOT NULL,
    software TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX events_of_case ON events (case_id);
CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


def default_journal_path() -> Path:
    """Return where this user's journal is.

    The environment variable ``NAPARI_HER2_JOURNAL`` wins over the user's data
    folder.
    """
    given = os.environ.get(ENV_PATH)
    if given:
        return Path(given)
    return Path(user_data_dir("napari-her2", appauthor=False)) / "journal.sqlite"


@dataclass(frozen=True, slots=True)
class Break:
    """The first line of a journal that is not as it was written."""

    seq: int
    problem: str


class Journal:
    """An open journal; a context manager.

    Several processes may append to one file. Within a process a journal belongs
    to the thread that opened it (SQLite's ``check_same_thread`` stays on); a
    worker thread hands its events over, or opens the same path again.

    Parameters
    ----------
    path
        The file, made when it does not exist; None for
        :func:`default_journal_path`.

    Raises
    ------
    StorageError
        If the file cannot be opened, is damaged, or is no journal this version
        can read.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = default_journal_path() if path is None else Path(path)
        with self._reading():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        try:
            with self._reading():
                self._prepare()
        except StorageError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing waits to be saved."""
        self._db.close()

    @property
    def head(self) -> str:
        """Hash of the last line, 64 hex digits; zeros when there is none.

        Raises
        ------
        StorageError
            If the file cannot be read.
        """
        with self._reading():
            return self._last()[1]

    def append(self, event: AnyEvent, *, seen: ReviewRecord | None = None) -> str:
        """Write an event and return its hash once it is safe on the disk.

        Parameters
        ----------
        event
            What happened.
        seen
            The record the act was decided on. With it the event is refused if
            a reader did anything to the region meanwhile, in another window
            for example.

        Raises
        ------
        StorageError
            If the event could not be written; nothing earlier is affected.
        ReviewError
            If the region is not as it was in ``seen``.
        """
        with self._writing(event):
            payload = encode(event)
            with self._transaction():
                if seen is not None:
                    self._require_unchanged(seen)
                seq, prev_hash = self._last()
                content = (
                    seq + 1,
                    prev_hash,
                    event.utc.isoformat(),
                    event.key.case_id,
                    event.key.region_id,
                    kind_of(event),
                    payload,
                    _os_user(),
                    __version__,
                )
                line_hash = _digest(content)
                self._db.execute(
                    f"INSERT INTO events ({_COLUMNS}) "  # noqa: S608 - constants
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*content, line_hash),
                )
        return line_hash

    def events(self, case_id: str | None = None) -> tuple[AnyEvent, ...]:
        """Return the events of one case, or of all, oldest first.

        Raises
        ------
        StorageError
            If the file cannot be read, a line is not as it was written, or it
            comes from a newer version.
        """
        with self._reading():
            return tuple(self._decoded(row) for row in self._rows(case_id))

    def verify(self) -> Break | None:
        """Return the first line that is not as it was written, None if all are.

        Raises
        ------
        StorageError
            If the file is too damaged to be read line by line.
        """
        with self._reading():
            seq, prev_hash = 0, GENESIS
            for row in self._rows():
                if row[0] != seq + 1:
                    return Break(seq + 1, "the line is missing")
                seq = row[0]
                if row[1] != prev_hash:
                    return Break(seq, "the line does not follow the one before it")
                if row[-1] != _digest(row[:-1]):
                    return Break(seq, "the line was changed")
                prev_hash = row[-1]
            written = self._db.execute("SELECT seq FROM sqlite_sequence").fetchone()
            if (written[0] if written else 0) != seq:
                return Break(seq + 1, "the line is missing")
            # pages that no line above was read from: indexes, schema, free space
            (report,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            if report != "ok":
                raise sqlite3.DatabaseError(report)
        return None

    def _prepare(self) -> None:
        """Set the file up if it is new, and see that it is a journal we know."""
        self._db.execute("PRAGMA journal_mode = DELETE")
        # EXTRA also makes the end of a commit safe against power loss
        self._db.execute("PRAGMA synchronous = EXTRA")
        # so that INSERT OR REPLACE meets the trigger against deleting
        self._db.execute("PRAGMA recursive_triggers = ON")
        if self._version() == 0:
            with self._transaction():
                if self._version() == 0:  # no other process came first
                    self._require_empty()
                    for statement in _statements(_SCHEMA):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_VERSION}")
        if self._version() != _VERSION:
            raise StorageError(
                self.path,
                f"this journal has format {self._version()}, known is {_VERSION}.",
                "Update napari-her2, or name another file in NAPARI_HER2_JOURNAL.",
            )
        self._last()

    def _require_empty(self) -> None:
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise StorageError(
                self.path,
                "this is a database of another program, not a journal.",
                "Name another file in NAPARI_HER2_JOURNAL.",
            )

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _rows(self, case_id: str | None = None) -> Iterator[tuple[Any, ...]]:
        where, values = ("", ()) if case_id is None else ("WHERE case_id=?", (case_id,))
        query = f"SELECT {_COLUMNS} FROM events {where} ORDER BY seq"  # noqa: S608
        with closing(self._db.execute(query, values)) as rows:
            yield from rows

    def _last(self) -> tuple[int, str]:
        """Return (seq, hash) of the last line; it must be as it was written."""
        query = f"SELECT {_COLUMNS} FROM events ORDER BY seq DESC LIMIT 1"  # noqa: S608
        row = self._db.execute(query).fetchone()
        if row is None:
            return 0, GENESIS
        self._require_intact(row)
        return row[0], row[-1]

    def _decoded(self, row: tuple[Any, ...]) -> AnyEvent:
        self._require_intact(row)
        seq, kind, payload = row[0], row[5], row[6]
        try:
            return decode(kind, payload)
        except UnreadableEventError as error:
            raise StorageError(
                self.path,
                f"line {seq}, written by version {row[8]}, cannot be read: {error}.",
                "Update napari-her2; nothing was dropped or changed.",
            ) from error

    def _require_intact(self, row: tuple[Any, ...]) -> None:
        if row[-1] != _digest(row[:-1]):
            raise StorageError(
                self.path, f"line {row[0]} is not as it was written.", _KEEP_IT
            )

    def _require_unchanged(self, seen: ReviewRecord) -> None:
        events = self.events(seen.case_id)
        if record_of(events, seen.key).acts != seen.acts:
            raise ReviewError(
                "This region was worked on elsewhere meanwhile; your act was NOT "
                "recorded.",
                "Look at it again, then decide.",
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # closed, or used from another thread: a mistake in the program
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            raise StorageError(
                self.path, f"the journal cannot be opened or read ({error}).", _KEEP_IT
            ) from error

    @contextmanager
    def _writing(self, event: AnyEvent) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            raise StorageError(
                self.path,
                f"the act '{kind_of(event)}' was NOT recorded ({error}).",
                "Free space on the disk or make the file writable, then do it "
                "again; everything recorded earlier is kept.",
            ) from error


_KEEP_IT = (
    "Keep the file as it is, name a new one in NAPARI_HER2_JOURNAL to go on, and "
    "restore this one from a backup."
)


def _digest(content: tuple[Any, ...]) -> str:
    """Hash a line without its own hash; an odd value type gives another hash."""
    text = json.dumps(content, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _statements(script: str) -> Iterator[str]:
    """Split a script, since ``executescript`` would leave the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return "unknown"
