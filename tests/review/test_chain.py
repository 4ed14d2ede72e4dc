"""A chain of lines shows what was changed, lost or moved."""

from __future__ import annotations

import pytest

from napari_her2.review.chain import START, Break, first_break, line_after
from napari_her2.review.events import CaseOpened


@pytest.fixture
def lines(key, utc):
    chain = [START]
    for _ in range(4):
        chain.append(line_after(chain[-1], CaseOpened(key=key, utc=utc)))
    return chain[1:]


def test_a_chain_is_whole_as_it_was_written(lines):
    assert first_break(lines, 4) is None
    assert first_break([], 0) is None
    assert [line.seq for line in lines] == [1, 2, 3, 4]
    assert len({line.hash for line in lines}) == 4


@pytest.mark.parametrize("column", range(10))
def test_a_change_in_any_column_is_found(lines, column):
    changed = list(lines[1])
    changed[column] = 9 if column == 0 else f"{changed[column]}x"
    lines[1] = lines[1]._make(changed)

    assert first_break(lines, 4).seq == 2


def test_a_lost_end_is_found(lines):
    assert first_break(lines[:3], 4) == Break(4, "is missing")
    assert first_break([], 4) == Break(1, "is missing")


def test_a_line_written_anew_does_not_fit_the_next(lines, key, utc):
    other = CaseOpened(key=key.case, utc=utc)
    lines[1] = line_after(lines[0], other)

    assert lines[1].is_intact
    assert first_break(lines, 4) == Break(3, "does not follow the one before it")
