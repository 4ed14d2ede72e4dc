"""Nothing that was recorded is lost, and nothing that was changed goes unseen."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections import deque
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import repeat
from pathlib import Path

import pytest

from napari_her2.core.errors import ReviewError, StorageError
from napari_her2.core.score import Score
from napari_her2.review import acts
from napari_her2.review.chain import START
from napari_her2.review.events import CaseOpened, FirstRead, Revealed
from napari_her2.review.journal import Journal, default_journal_path
from napari_her2.review.record import fold, record_of


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "records" / "journal.sqlite"


@pytest.fixture
def some_events(key, anna, utc, make_suggestion):
    def read(n):
        call = list(Score)[n % 5]
        return FirstRead(
            key=key, utc=utc + timedelta(seconds=n), reader=anna, call=call
        )

    shown = Revealed(key=key, utc=utc, reader=anna, suggestion=make_suggestion())
    return (*(read(n) for n in range(7)), shown)


@pytest.fixture
def filled(path, some_events) -> Path:
    with Journal(path) as journal:
        for event in some_events:
            journal.append(event)
    return path


def run_python(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        stdout=subprocess.PIPE,
        text=True,
    )


def without_triggers(path: Path, statement: str) -> None:
    """Change a journal the way someone with the file in hand could."""
    with closing(sqlite3.connect(path)) as db, db:
        for name in ("events_are_kept", "events_stay_as_they_are"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)


def test_events_come_back_in_order_after_reopening(filled, some_events):
    with Journal(filled) as journal:
        assert journal.events() == some_events
        assert journal.events("case-1") == some_events
        assert journal.events("case-2") == ()
        assert journal.verify() is None


def test_the_head_is_the_hash_of_the_last_line(path, some_events):
    with Journal(path) as journal:
        assert journal.head == START.hash
        first = journal.append(some_events[0])
        second = journal.append(some_events[1])
        assert first != second
        assert journal.head == second
        assert len(second) == 64


def test_a_line_says_who_and_with_what(filled):
    with closing(sqlite3.connect(filled)) as db:
        line = db.execute(
            "SELECT seq, utc, case_id, region_id, kind, os_user, software FROM events"
        ).fetchone()
    assert line[:5] == (
        1, "2026-05-04T03:02:01.987654+00:00", "case-1", "r1", "first read",
    )  # fmt: skip
    assert all(line[5:])


def test_a_clock_that_runs_backwards_is_recorded_as_it_is(path, some_events):
    backwards = some_events[3], some_events[0]
    with Journal(path) as journal:
        for event in backwards:
            journal.append(event)
        assert journal.events() == backwards
        assert journal.verify() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events",
    ],
)
def test_lines_can_be_neither_changed_nor_removed(filled, some_events, statement):
    with Journal(filled) as journal:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            journal._db.execute(statement)
        assert journal.events() == some_events


@pytest.mark.parametrize(
    ("statement", "seq", "problem"),
    [
        (
            "UPDATE events SET payload = replace(payload, '0+', '3+')",
            2,
            "not as it was written",
        ),
        ("UPDATE events SET os_user = 'x' WHERE seq = 3", 3, "not as it was written"),
        ("DELETE FROM events WHERE seq = 4", 4, "missing"),
        ("DELETE FROM events WHERE seq = 8", 8, "missing"),
        ("DELETE FROM events", 1, "missing"),
        ("UPDATE sqlite_sequence SET seq = 20", 9, "missing"),
        ("UPDATE events SET prev_hash = 'x' WHERE seq = 5", 5, "not as it was"),
        (
            "UPDATE events SET payload = x'00ff' WHERE seq = 6",
            6,
            "not as it was written",
        ),
    ],
)
def test_the_first_broken_line_is_found(filled, statement, seq, problem):
    with Journal(filled) as journal:
        without_triggers(filled, statement)
        found = journal.verify()
    assert found.seq == seq
    assert problem in found.problem

    with pytest.raises(StorageError, match=f"line {seq} .*{problem}"):
        Journal(filled)


def test_a_changed_line_is_neither_read_nor_built_on(filled, some_events):
    with Journal(filled) as journal:
        without_triggers(filled, "UPDATE events SET kind = 'x' WHERE seq = 8")
        with pytest.raises(StorageError, match="line 8 is not as it was written"):
            journal.events("case-1")
        with pytest.raises(StorageError, match="line 8 is not as it was written"):
            journal.append(some_events[0])


def test_two_processes_append_to_one_chain(path):
    code = """
        import sys
        from datetime import UTC, datetime
        from napari_her2.review.events import CaseOpened, RegionKey
        from napari_her2.review.journal import Journal
        with Journal(sys.argv[1]) as journal:
            for n in range(40):
                key = RegionKey(sys.argv[2], (("he", str(n)),))
                journal.append(CaseOpened(key=key, utc=datetime.now(UTC)))
    """
    running = [run_python(code, str(path), name) for name in ("a", "b")]
    for process in running:
        with process:
            process.communicate(timeout=60)
        assert process.returncode == 0

    with Journal(path) as journal:
        assert journal.verify() is None
        for name in ("a", "b"):
            slides = [event.key.slides[0][1] for event in journal.events(name)]
            assert slides == [str(n) for n in range(40)]


@pytest.mark.parametrize("n_before_kill", [1, 17])
def test_a_killed_process_loses_nothing_it_was_told_is_recorded(path, n_before_kill):
    code = """
        import sys
        from datetime import UTC, datetime
        from napari_her2.review.events import CaseOpened, RegionKey
        from napari_her2.review.journal import Journal
        journal = Journal(sys.argv[1])
        while True:
            event = CaseOpened(key=RegionKey("case"), utc=datetime.now(UTC))
            print(journal.append(event), flush=True)
    """
    with run_python(code, str(path)) as process:
        told = [process.stdout.readline().strip() for _ in range(n_before_kill)]
        process.kill()
        told += [line.strip() for line in process.stdout if len(line) == 65]

    with Journal(path) as journal:
        assert journal.verify() is None
        rows = journal._db.execute("SELECT hash FROM events ORDER BY seq")
        kept = [line_hash for (line_hash,) in rows]
        assert kept[: len(told)] == told
        assert len(kept) <= len(told) + 1


def test_an_act_on_a_region_that_changed_meanwhile_is_refused(
    path, record, anna, ben, utc
):
    with Journal(path) as mine, Journal(path) as theirs:
        other = record.after(acts.own_read(record, ben, Score.THREE, utc=utc))
        theirs.append(other.history[-1], seen=record)
        with pytest.raises(ReviewError, match="NOT recorded"):
            mine.append(acts.own_read(record, anna, Score.ONE), seen=record)

        now = record_of(mine.events(), record.key)
        assert now == other
        mine.append(acts.reopen(now, anna, "second look"), seen=now)
        assert mine.verify() is None


def test_software_at_work_does_not_refuse_a_readers_act(
    path, record, anna, make_suggestion
):
    with Journal(path) as journal:
        journal.append(acts.suggest(record, make_suggestion()))
        journal.append(acts.first_read(record, anna, Score.ONE), seen=record)
        assert len(journal.events()) == 2


def test_a_full_disk_loses_nothing_and_says_what_was_not_recorded(filled, some_events):
    with Journal(filled) as journal:
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"NOT recorded.*full") as caught:
            deque(map(journal.append, repeat(some_events[-1], 1000)), maxlen=0)
        assert "again" in caught.value.next_step
        n_kept = len(journal.events())
        assert journal.verify() is None

        journal._db.execute("PRAGMA max_page_count = 100000")
        journal.append(some_events[0])
        assert len(journal.events()) == n_kept + 1
        assert journal.events()[:8] == some_events


def test_a_journal_that_cannot_be_written_says_so(filled, some_events):
    with Journal(filled) as journal:
        journal._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="'first read' was NOT recorded"):
            journal.append(some_events[0])
        assert journal.events() == some_events


def test_a_journal_moved_away_under_the_window_is_noticed(filled, some_events):
    with Journal(filled) as journal:
        filled.rename(filled.with_suffix(".moved"))
        with pytest.raises(StorageError, match="NOT recorded"):
            journal.append(some_events[0])


def test_text_that_no_file_can_hold_is_not_recorded(path, some_events, key):
    odd = CaseOpened(key=replace(key, case_id="\udcff"), utc=some_events[0].utc)
    with Journal(path) as journal:
        with pytest.raises(StorageError, match="NOT recorded"):
            journal.append(odd)
        journal.append(some_events[0])
        assert journal.verify() is None


def test_flipped_bits_never_change_what_is_read(filled, tmp_path, some_events):
    sound = filled.read_bytes()
    draw = random.Random(7)
    damaged = tmp_path / "damaged.sqlite"
    n_refused = 0
    for _ in range(250):
        content = bytearray(sound)
        for _ in range(draw.choice((1, 1, 4))):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        damaged.write_bytes(content)
        try:
            with Journal(damaged) as journal:
                assert journal.events() == some_events
        except StorageError:
            n_refused += 1
    assert n_refused > 25


@pytest.mark.parametrize("n_bytes", [50, 100, 1000, 4096, 5000, 8192, 9000])
def test_a_truncated_file_is_refused(filled, n_bytes):
    filled.write_bytes(filled.read_bytes()[:n_bytes])
    with pytest.raises(StorageError, match=r"journal\.sqlite"):
        Journal(filled)


def test_files_that_are_no_journal_are_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, and long enough to be read as one " * 20)
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE pets (name TEXT)")
    for wrong in (text, other, tmp_path, text / "journal.sqlite"):
        with pytest.raises(StorageError, match="NAPARI_HER2_JOURNAL"):
            Journal(wrong)
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_a_journal_from_a_newer_version_is_refused(filled):
    with closing(sqlite3.connect(filled)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="format 2"):
        Journal(filled)


def test_an_event_from_a_newer_version_is_refused_not_dropped(
    filled, some_events, monkeypatch
):
    monkeypatch.setattr("napari_her2.review.chain.kind_of", lambda _: "signed")
    with Journal(filled) as journal:
        journal.append(some_events[0])
        assert journal.verify() is None
        with pytest.raises(StorageError, match=r"line 9.*'signed'.*Update"):
            journal.events()


def test_a_journal_belongs_to_the_thread_that_opened_it(path, some_events):
    caught = []

    def append(journal):
        try:
            journal.append(some_events[0])
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    with Journal(path) as journal:
        thread = threading.Thread(target=append, args=(journal,))
        thread.start()
        thread.join()
        assert caught
        assert journal.events() == ()


def test_where_the_journal_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_HER2_JOURNAL", str(tmp_path / "j.sqlite"))
    assert default_journal_path() == tmp_path / "j.sqlite"
    with Journal() as journal:
        assert journal.path == tmp_path / "j.sqlite"
    monkeypatch.delenv("NAPARI_HER2_JOURNAL")
    assert default_journal_path().parent.name == "napari-her2"


def test_an_account_without_a_name_can_decide(path, some_events, monkeypatch):
    def no_name():
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", no_name)
    with Journal(path) as journal:
        journal.append(some_events[0])
        assert journal.verify() is None


def test_a_case_comes_back_as_it_was_left(filled, some_events, key, anna):
    with Journal(filled) as journal:
        (record,) = fold(journal.events(key.case_id))
    assert record.history == some_events
    assert record.shown_to(anna) == some_events[-1].suggestion
