"""Patterns of membranes, and cells counted by them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.membrane import (
    Completeness,
    Intensity,
    IntensityCounts,
    MembranePattern,
    MembraneShares,
    PatternCounts,
    pattern_of,
    patterns_of,
)

NUMBERS = st.lists(st.integers(0, 10_000), min_size=5, max_size=5)


def test_the_numbers_of_the_patterns_are_data():
    assert [(p.name.lower(), p.value) for p in MembranePattern] == [
        ("none", 0),
        ("faint_incomplete", 1),
        ("incomplete_moderate_intense", 2),
        ("complete_weak_moderate", 3),
        ("complete_intense", 4),
    ]


@pytest.mark.parametrize(
    ("intensity", "incomplete", "complete"),
    [
        ("NONE", "NONE", "NONE"),
        ("FAINT", "FAINT_INCOMPLETE", "FAINT_INCOMPLETE"),  # a convention
        ("WEAK", "FAINT_INCOMPLETE", "COMPLETE_WEAK_MODERATE"),  # a convention
        ("MODERATE", "INCOMPLETE_MODERATE_INTENSE", "COMPLETE_WEAK_MODERATE"),
        ("INTENSE", "INCOMPLETE_MODERATE_INTENSE", "COMPLETE_INTENSE"),
    ],
)
def test_every_membrane_has_its_pattern(intensity, incomplete, complete):
    names = [pattern_of(Intensity[intensity], each).name for each in Completeness]
    assert names == ["NONE", incomplete, complete]


def test_many_cells_get_the_pattern_of_each():
    pairs = np.array(list(product(Intensity, Completeness)))
    assert patterns_of(*pairs.T).tolist() == [
        pattern_of(Intensity(i), Completeness(c)) for i, c in pairs
    ]


@given(st.lists(st.sampled_from(MembranePattern)), st.randoms())
def test_cells_are_counted_in_any_order(cells, random):
    counts = PatternCounts.from_cells(np.array(cells, np.int8))
    random.shuffle(cells)
    assert PatternCounts.from_cells(np.array(cells, np.uint8)) == counts
    assert counts == PatternCounts(*(cells.count(each) for each in MembranePattern))
    assert counts.n == len(cells)
    assert counts.stained == sum(cell > 0 for cell in cells)


@pytest.mark.parametrize("numbers", [[0, 5], [-1, 2]])
def test_a_cell_without_a_pattern_is_refused(numbers):
    with pytest.raises(ValueError, match="from 0 to 4"):
        PatternCounts.from_cells(np.array(numbers))


@given(NUMBERS, NUMBERS)
def test_counts_of_two_areas_add_up(one, other):
    together = PatternCounts(*one) + PatternCounts(*other)
    assert together == PatternCounts(*np.add(one, other))
    assert together.n == sum(one) + sum(other)


def test_small_numbers_of_numpy_do_not_overflow():
    assert PatternCounts(*np.full(5, 200, np.uint8)).n == 1000


@pytest.mark.parametrize(
    ("number", "error"), [(-1, ValueError), (0.5, TypeError), (math.nan, TypeError)]
)
def test_numbers_that_count_nothing_are_refused(number, error):
    with pytest.raises(error):
        PatternCounts(number)


def test_shares_are_of_all_cells():
    assert PatternCounts(10, 20, 30, 40, 100).shares() == MembraneShares(
        complete_intense=0.5,
        complete_weak_moderate=0.2,
        incomplete_moderate_intense=0.15,
        faint_incomplete=0.1,
    )
    assert PatternCounts().shares() == MembraneShares()


def test_the_h_score_is_a_mean_from_0_to_300():
    assert IntensityCounts(weak=1, moderate=1, intense=2).h_score == 225
    assert IntensityCounts(intense=3).h_score == 300
    assert IntensityCounts(none=1, faint=9).h_score == 0
    assert math.isnan(IntensityCounts().h_score)


@pytest.mark.parametrize(
    "shares", [(-0.1,), (1.1,), (0.5, 0.6), (float("nan"),), (0.1, 0, 0, float("nan"))]
)
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="shares must lie"):
        MembraneShares(*shares)


def test_shares_of_all_cells_may_miss_one_by_rounding():
    assert MembraneShares(0.1, 0.2, 0.3, 0.4 + 1e-12).stained == pytest.approx(1)
