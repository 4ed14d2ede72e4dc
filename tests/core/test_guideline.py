"""Each line of the guideline, and what holds between the lines."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.guideline import call_from_shares
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score

PATTERNS = (
    "complete_intense",
    "complete_weak_moderate",
    "incomplete_moderate_intense",
    "faint_incomplete",
)
STRONGER = [
    ("faint_incomplete", "incomplete_moderate_intense"),
    ("faint_incomplete", "complete_weak_moderate"),
    ("incomplete_moderate_intense", "complete_intense"),
    ("complete_weak_moderate", "complete_intense"),
]


def call(**percent: int):
    return call_from_shares(
        MembraneShares(**{name: value / 100 for name, value in percent.items()})
    )


@pytest.mark.parametrize(
    ("percent", "score"),
    [
        ({"complete_intense": 100}, Score.THREE),
        ({"complete_intense": 11}, Score.THREE),
        ({"complete_intense": 10}, Score.TWO),
        ({"complete_intense": 8}, Score.TWO),
        ({"complete_intense": 1}, Score.TWO),
        ({"complete_intense": 8, "faint_incomplete": 90}, Score.TWO),
        ({"complete_weak_moderate": 11}, Score.TWO),
        ({"complete_weak_moderate": 10, "faint_incomplete": 1}, Score.ONE),
        ({"complete_weak_moderate": 10}, Score.ULTRALOW),
        ({"incomplete_moderate_intense": 11}, Score.TWO),
        ({"incomplete_moderate_intense": 10}, Score.ULTRALOW),
        ({"faint_incomplete": 100}, Score.ONE),
        ({"faint_incomplete": 11}, Score.ONE),
        ({"faint_incomplete": 10}, Score.ULTRALOW),
        ({"faint_incomplete": 1}, Score.ULTRALOW),
        ({}, Score.ZERO),
    ],
)
def test_each_line_of_the_guideline(percent, score):
    assert call(**percent).score is score


def test_where_the_guideline_is_silent_the_call_says_so():
    assert not call(faint_incomplete=10).is_convention
    assert not call(faint_incomplete=11, complete_weak_moderate=2).is_convention
    assert call(complete_weak_moderate=10).is_convention
    assert call(faint_incomplete=6, incomplete_moderate_intense=6).is_convention
    assert not call(complete_intense=8).is_convention


def by_the_book(percent: dict[str, int]) -> Score:
    """Apply the same guideline to whole percents, in exact arithmetic."""
    intense, complete, incomplete, faint = (percent[name] for name in PATTERNS)
    if intense > 10:
        return Score.THREE
    if intense > 0 or complete > 10 or incomplete > 10:
        return Score.TWO
    stained = complete + incomplete + faint
    return Score.ONE if stained > 10 else Score.ULTRALOW if stained else Score.ZERO


def test_every_whole_percent_near_the_cut_off_has_its_score():
    for values in product(range(13), repeat=4):
        percent = dict(zip(PATTERNS, values, strict=True))
        assert call(**percent).score is by_the_book(percent), percent


@st.composite
def whole_percents(draw) -> dict[str, int]:
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=4, max_size=4)))
    values = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    return dict(zip(PATTERNS, draw(st.permutations(values)), strict=True))


@settings(max_examples=500)
@given(whole_percents())
def test_every_slide_has_one_score(percent):
    found = call(**percent)
    assert found.score is by_the_book(percent)
    assert found.rule


@settings(max_examples=500)
@given(whole_percents(), st.sampled_from(STRONGER), st.integers(1, 100))
def test_stronger_staining_never_lowers_the_score(percent, step, moved):
    weak, strong = step
    moved = min(moved, percent[weak])
    after = percent | {
        weak: percent[weak] - moved,
        strong: percent[strong] + moved,
    }
    assert call(**after).score.rank >= call(**percent).score.rank


@settings(max_examples=300)
@given(whole_percents(), st.sampled_from(PATTERNS))
def test_more_stained_cells_never_lower_the_score(percent, pattern):
    unstained = 100 - sum(percent.values())
    after = percent | {pattern: percent[pattern] + unstained}
    assert call(**after).score.rank >= call(**percent).score.rank


@given(st.integers(1, 400), st.data())
def test_exactly_ten_percent_of_any_count_is_not_more_than_ten(tens, data):
    n_cells = 10 * tens
    a = data.draw(st.integers(0, tens))
    b = data.draw(st.integers(0, tens - a))
    shares = MembraneShares(0, a / n_cells, b / n_cells, (tens - a - b) / n_cells)
    assert call_from_shares(shares).score is Score.ULTRALOW
