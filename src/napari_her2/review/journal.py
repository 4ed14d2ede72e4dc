"""The append-only journal: what happened, in order, on disk before it counts.

One SQLite file with the hash chain of :mod:`napari_her2.review.chain`. It uses a
rollback journal, not a write-ahead log: a few lines a minute need no speed, one
plain file can be copied and works on a network share, and SQLite then notices
when the file is moved away under an open window.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_data_dir

from napari_her2.core.errors import ReviewError, StorageError
from napari_her2.review.chain import START, Break, Line, first_break, line_after
from napari_her2.review.codec import UnreadableEventError, decode, kind_of
from napari_her2.review.events import AnyEvent
from napari_her2.review.record import ReviewRecord, record_of

ENV_PATH = "NAPARI_HER2_JOURNAL"

_VERSION = 1
_BUSY_S = 5.0
_COLUMNS = ", ".join(Line._fields)
_SCHEMA = (
    """
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
    )
    """,
    """
    CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
    """,
    """
    CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
    """,
    f"PRAGMA user_version = {_VERSION}",
)
_KEEP_IT = (
    f"Keep the file as it is, name a new one in {ENV_PATH} to go on, and restore "
    "this one from a backup."
)


def default_journal_path() -> Path:
    """Return where this user's journal is.

    The environment variable ``NAPARI_HER2_JOURNAL`` wins over the user's data
    folder.
    """
    given = os.environ.get(ENV_PATH)
    if given:
        return Path(given)
    return Path(user_data_dir("napari-her2", appauthor=False)) / "journal.sqlite"


class Journal:
    """An open journal, its chain verified; a context manager.

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
        If the file cannot be opened, a line is not as it was written, or it is
        no journal this version can read.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        given = default_journal_path() if path is None else Path(path)
        self.path = given.absolute()
        with self._reading():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        try:
            with self._reading():
                self._prepare()
            broken = self.verify()
            if broken is not None:
                raise self._broken(broken.seq, broken.problem)
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
            return self._last().hash

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
        with self._writing(event), self._transaction():
            if seen is not None:
                self._require_unchanged(seen)
            line = line_after(self._last(), event)
            holders = ", ".join("?" * len(line))
            self._db.execute(
                f"INSERT INTO events ({_COLUMNS}) VALUES ({holders})",  # noqa: S608
                line,
            )
        return line.hash

    def events(self, case_id: str | None = None) -> tuple[AnyEvent, ...]:
        """Return the events of one case, or of all, oldest first.

        Raises
        ------
        StorageError
            If the file cannot be read, a line is not as it was written, or it
            comes from a newer version.
        """
        only = "" if case_id is None else "WHERE case_id = ?"
        values = () if case_id is None else (case_id,)
        with self._reading():
            lines = self._lines(f"{only} ORDER BY seq", *values)
            return tuple(self._decoded(line) for line in lines)

    def verify(self) -> Break | None:
        """Return the first line that is not as it was written, None if all are.

        Raises
        ------
        StorageError
            If the file is too damaged to be read line by line.
        """
        # one transaction: another process may append between two reads
        with self._reading(), self._transaction("DEFERRED"):
            written = self._db.execute("SELECT seq FROM sqlite_sequence").fetchone()
            broken = first_break(self._lines(), written[0] if written else 0)
            if broken is not None:
                return broken
            # what no line was read from: the index, the schema, free space
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
                    for statement in _SCHEMA:
                        self._db.execute(statement)
        if self._version() != _VERSION:
            raise StorageError(
                self.path,
                f"this journal has format {self._version()}, known is {_VERSION}.",
                f"Update napari-her2, or name another file in {ENV_PATH}.",
            )

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _require_empty(self) -> None:
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise StorageError(
                self.path,
                "this is a database of another program, not a journal.",
                f"Name another file in {ENV_PATH}.",
            )

    def _lines(self, which: str = "ORDER BY seq", *values: str) -> Iterator[Line]:
        query = f"SELECT {_COLUMNS} FROM events {which}"  # noqa: S608 - constants
        with closing(self._db.execute(query, values)) as rows:
            yield from map(Line._make, rows)

    def _last(self) -> Line:
        """Return the last line, which must be as it was written to go on from it."""
        last = next(self._lines("ORDER BY seq DESC LIMIT 1"), START)
        if last is not START and not last.is_intact:
            raise self._broken(last.seq, "is not as it was written")
        return last

    def _decoded(self, line: Line) -> AnyEvent:
        if not line.is_intact:
            raise self._broken(line.seq, "is not as it was written")
        try:
            return decode(line.kind, line.payload)
        except UnreadableEventError as error:
            raise StorageError(
                self.path,
                f"line {line.seq}, written by version {line.software}, cannot be "
                f"read: {error}.",
                "Update napari-her2; nothing was dropped or changed.",
            ) from error

    def _broken(self, seq: int, problem: str) -> StorageError:
        return StorageError(self.path, f"line {seq} {problem}.", _KEEP_IT)

    def _require_unchanged(self, seen: ReviewRecord) -> None:
        events = self.events(seen.case_id)
        if record_of(events, seen.key).acts != seen.acts:
            raise ReviewError(
                "This region was worked on elsewhere meanwhile; your act was NOT "
                "recorded.",
                "Look at it again, then decide.",
            )

    @contextmanager
    def _transaction(self, lock: str = "IMMEDIATE") -> Iterator[None]:
        self._db.execute(f"BEGIN {lock}")
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
                "See that the disk has space and the file can be written, then do it "
                "again; everything recorded earlier is kept.",
            ) from error
