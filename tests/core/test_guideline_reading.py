"""The guideline on counted cells: its lines, its intervals, what a method misreads."""

from __future__ import annotations

from dataclasses import astuple, replace
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_her2.core.guideline import (
    CellErrors,
    GuidelineLimits,
    call_from_shares,
    read_counts,
)
from napari_her2.core.guideline_limits import LEAST_CELLS
from napari_her2.core.membrane import IntensityCounts, MembranePattern, PatternCounts
from napari_her2.core.proportion import wilson
from napari_her2.core.score import NotAssessable, Score

HALF_PERCENT = CellErrors(stained=0.005, complete_intense=0.005)
SECOND = "second reader: the call lies near a cut-off"
STRONGER = [
    ("none", "faint_incomplete"),
    ("faint_incomplete", "incomplete_moderate_intense"),
    ("faint_incomplete", "complete_weak_moderate"),
    ("incomplete_moderate_intense", "complete_intense"),
    ("complete_weak_moderate", "complete_intense"),
]


def cells(n=1000, **stained):
    """So many stained cells, the rest of n without staining."""
    return PatternCounts(none=n - sum(stained.values()), **stained)


@pytest.mark.parametrize(
    ("stained", "score", "rule"),
    [
        pytest.param(
            {"complete_intense": 101},
            Score.THREE,
            "complete intense membrane in > 10 % of cells",
            id="3+",
        ),
        pytest.param(
            {"complete_intense": 80},
            Score.TWO,
            "complete intense membrane in <= 10 % of cells",
            id="2+, limited",
        ),
        pytest.param(
            {"complete_weak_moderate": 101},
            Score.TWO,
            "complete weak to moderate membrane in > 10 %",
            id="2+, weak to moderate",
        ),
        pytest.param(
            {"incomplete_moderate_intense": 101},
            Score.TWO,
            "incomplete moderate to intense membrane in > 10 % (unusual)",
            id="2+, incomplete",
        ),
        pytest.param(
            {"faint_incomplete": 101},
            Score.ONE,
            "faint incomplete membrane in > 10 % of cells",
            id="1+",
        ),
        pytest.param(
            {"faint_incomplete": 1},
            Score.ULTRALOW,
            "faint incomplete membrane in > 0 and <= 10 % of cells",
            id="0+",
        ),
        pytest.param({}, Score.ZERO, "no membrane staining", id="0"),
    ],
)
def test_each_line_of_the_guideline(stained, score, rule):
    found = read_counts(cells(**stained))
    assert (found.call, found.rule, found.is_convention) == (score, rule, False)


@pytest.mark.parametrize("tenth", [10, 100, 4321, 1_000_000])
@pytest.mark.parametrize(
    ("pattern", "at_ten", "above"),
    [
        ("complete_intense", Score.TWO, Score.THREE),
        ("complete_weak_moderate", Score.ULTRALOW, Score.TWO),
        ("incomplete_moderate_intense", Score.ULTRALOW, Score.TWO),
        ("faint_incomplete", Score.ULTRALOW, Score.ONE),
    ],
)
def test_one_cell_above_ten_percent_decides(tenth, pattern, at_ten, above):
    assert read_counts(cells(10 * tenth, **{pattern: tenth})).call is at_ten
    assert read_counts(cells(10 * tenth, **{pattern: tenth + 1})).call is above


def test_one_implementation_decides_on_shares_and_on_counts():
    for stained in product((0, 1, 5, 6, 10, 11, 40), repeat=4):
        if sum(stained) <= 100:
            counts = PatternCounts(100 - sum(stained), *stained)
            found, plain = read_counts(counts), call_from_shares(counts.shares())
            assert (found.call, found.rule) == (plain.score, plain.rule)
            assert found.is_convention == plain.is_convention


@st.composite
def some_counts(draw) -> PatternCounts:
    """Often with patterns of none or few cells, where lines are decided."""
    few = st.one_of(st.just(0), st.integers(1, 12), st.integers(0, 60))
    stained = [draw(few) for _ in range(4)]
    return PatternCounts(draw(st.integers(0, 400)), *stained)


ERRORS = st.builds(
    CellErrors,
    stained=st.sampled_from([0, 0.005, 0.02, 0.09]),
    complete_intense=st.sampled_from([0, 0.005, 0.02, 0.09]),
)


@settings(max_examples=500)
@given(some_counts(), ERRORS, st.sampled_from(STRONGER), st.integers(1, 60), st.data())
def test_stronger_cells_never_lower_the_score(counts, errors, step, moved, data):
    weak, strong = step
    moved = min(moved, getattr(counts, weak))
    after = replace(
        counts,
        **{
            weak: getattr(counts, weak) - moved,
            strong: getattr(counts, strong) + moved,
        },
    )
    both = map(min, astuple(counts), astuple(after))
    confirmed = PatternCounts(*(data.draw(st.integers(0, each)) for each in both))
    assume(counts.n)
    given_ = {
        "limits": GuidelineLimits(least_cells=1),
        "floors": errors,
        "confirmed": confirmed,
    }
    before, later = read_counts(counts, **given_), read_counts(after, **given_)
    assert later.call.rank >= before.call.rank


@settings(max_examples=300)
@given(some_counts(), ERRORS)
def test_errors_of_the_method_only_lower_a_score_and_say_so(counts, errors):
    exact, found = read_counts(counts), read_counts(counts, floors=errors)
    if counts.n < LEAST_CELLS:
        assert exact == found
        assert isinstance(found.call, NotAssessable)
    elif found.call is not exact.call:
        assert found.call.rank < exact.call.rank
        assert found.is_convention
        assert any(f"to call {exact.call}" in advice for advice in found.advice)


def test_an_intense_cell_in_doubt_counts_as_a_weaker_one():
    """It may not undo what an incomplete or a weaker complete cell would give."""
    for pattern in ("incomplete_moderate_intense", "complete_weak_moderate"):
        weaker = cells(**{pattern: 101})
        stronger = cells(**{pattern: 100, "complete_intense": 1})
        assert read_counts(weaker, floors=HALF_PERCENT).call is Score.TWO
        found = read_counts(stronger, floors=HALF_PERCENT)
        assert (found.call, found.is_convention) == (Score.TWO, False)
        assert pattern.split("_")[0] in found.rule
        assert not any("to call" in advice for advice in found.advice)


def test_any_cell_is_no_more_than_the_method_misreads():
    counts = cells(1204, faint_incomplete=3)
    found = read_counts(counts, floors=HALF_PERCENT)
    assert (found.call, found.is_convention) == (Score.ZERO, True)
    assert found.rule == "no membrane staining beyond what the method misreads"
    assert found.advice == (
        "3 of 1,204 cells look stained, not clearly more than the method misreads "
        "(0.5 %): confirm one in the gallery to call 0+",
        SECOND,
    )
    agreed = PatternCounts(faint_incomplete=1)
    sure = read_counts(counts, floors=HALF_PERCENT, confirmed=agreed)
    assert (sure.call, sure.is_convention) == (Score.ULTRALOW, False)
    assert sure.advice == ("counts as HER2-ultralow", SECOND)


def test_a_cell_confirmed_as_stained_is_none_confirmed_as_intense():
    counts = cells(1204, faint_incomplete=3, complete_intense=3)
    agreed = PatternCounts(none=5, faint_incomplete=1)
    found = read_counts(counts, floors=HALF_PERCENT, confirmed=agreed)
    assert (found.call, found.is_convention) == (Score.ULTRALOW, True)
    assert any(
        advice.startswith("3 of 1,204 cells look complete and intense")
        and advice.endswith("to call 2+")
        for advice in found.advice
    )
    intense = PatternCounts(complete_intense=1)
    found = read_counts(counts, floors=HALF_PERCENT, confirmed=intense)
    assert found.call is Score.TWO


@pytest.mark.parametrize(
    ("pattern", "error", "score"),
    [
        ("faint_incomplete", CellErrors(stained=0.01), Score.ULTRALOW),
        ("complete_intense", CellErrors(complete_intense=0.01), Score.TWO),
    ],
)
def test_more_cells_than_the_method_misreads_are_some(pattern, error, score):
    """One per cent of 1,000 cells: the lower end passes it with 17 cells."""
    assert wilson(16, 1000).low < 0.01 < wilson(17, 1000).low
    fewer = read_counts(cells(**{pattern: 16}), floors=error)
    assert fewer.call.rank < score.rank
    assert read_counts(cells(**{pattern: 17}), floors=error).call is score


def test_each_error_concerns_its_own_line():
    few = cells(complete_intense=3)
    assert read_counts(few, floors=CellErrors(stained=0.09)).call is Score.TWO
    few = cells(faint_incomplete=3)
    assert (
        read_counts(few, floors=CellErrors(complete_intense=0.09)).call
        is Score.ULTRALOW
    )


@pytest.mark.parametrize("error", [-0.01, 0.1, float("nan")])
def test_a_method_too_poor_for_the_cut_off_is_refused(error):
    with pytest.raises(ValueError, match="cut-off of 10 %"):
        CellErrors(stained=error)
    with pytest.raises(ValueError, match="cut-off of 10 %"):
        CellErrors(complete_intense=error)


def test_too_few_cells_are_no_score():
    found = read_counts(cells(49, complete_intense=49))
    assert found.call == NotAssessable(
        "only 49 invasive tumour cells; at least 50 are needed"
    )
    assert found.is_convention
    assert (found.straddles, found.advice) == ((), ())
    assert read_counts(cells(50, complete_intense=50)).call is Score.THREE
    one = read_counts(cells(1), limits=GuidelineLimits(least_cells=2))
    assert one.call.reason == "only 1 invasive tumour cell; at least 2 are needed"


def test_few_cells_are_a_score_with_a_word_of_caution():
    few, enough = (read_counts(cells(n, complete_intense=n)) for n in (99, 100))
    assert few.call is enough.call is Score.THREE
    assert "few cells (99): count more of the tumour" in few.advice
    assert not any("few cells" in advice for advice in enough.advice)


def test_no_cells_are_never_a_zero():
    found = read_counts(PatternCounts(), limits=GuidelineLimits(least_cells=1))
    assert isinstance(found.call, NotAssessable)
    assert [share.to_json() for share in found.shares] == [[None] * 3] * 5
    with pytest.raises(ValueError, match="out of range"):
        GuidelineLimits(least_cells=0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_that_are_none_are_refused(share):
    with pytest.raises(ValueError, match="out of range"):
        GuidelineLimits(most_hidden=share)
    with pytest.raises(ValueError, match="share must lie"):
        read_counts(cells(), hidden_share=share)


def test_cytoplasm_over_most_membranes_leaves_it_to_the_pathologist():
    for weak in (cells(), cells(faint_incomplete=500)):
        assert isinstance(read_counts(weak, hidden_share=0.5).call, Score)
        found = read_counts(weak, hidden_share=0.51)
        assert found.call == NotAssessable(
            "cytoplasm hides the membrane of 51 % of the cells; the pathologist decides"
        )
        assert found.is_convention
    seen = cells(incomplete_moderate_intense=500)
    assert read_counts(seen, hidden_share=1.0).call is Score.TWO
    never = GuidelineLimits(most_hidden=1.0)
    assert read_counts(cells(), hidden_share=1.0, limits=never).call is Score.ZERO


def test_every_share_has_its_interval():
    counts = PatternCounts(500, 100, 50, 250, 100)
    found = read_counts(counts)
    assert found.n_cells == 1000
    for pattern in MembranePattern:
        assert found.shares[pattern] == wilson(astuple(counts)[pattern], 1000)


@pytest.mark.parametrize(
    ("stained", "straddles"),
    [
        (
            {"complete_intense": 101},
            "complete intense 8.4 % (7.0–10.1): the interval straddles 10 %",
        ),
        (
            {"complete_weak_moderate": 120},
            "complete 10.0 % (8.4–11.8): the interval straddles 10 %",
        ),
        (
            {"incomplete_moderate_intense": 120},
            "incomplete moderate to intense 10.0 % (8.4–11.8): "
            "the interval straddles 10 %",
        ),
        (
            {"faint_incomplete": 120},
            "stained 10.0 % (8.4–11.8): the interval straddles 10 %",
        ),
    ],
)
def test_an_interval_that_holds_the_cut_off_is_named(stained, straddles):
    found = read_counts(cells(1204, **stained))
    assert straddles in found.straddles
    assert found.advice[-1] == SECOND


def test_lines_after_the_one_that_decides_are_not_asked():
    counts = cells(complete_intense=500, complete_weak_moderate=100)
    found = read_counts(counts)
    assert (found.straddles, found.advice) == ((), ())


def test_what_follows_from_a_score():
    two = read_counts(cells(incomplete_moderate_intense=300)).advice
    assert two == (
        "in situ hybridisation on the same specimen, or a new test "
        "(2+ for incomplete moderate to intense membrane in > 10 % (unusual))",
        "counts as HER2-low if in situ hybridisation is negative",
    )
    assert read_counts(cells(faint_incomplete=300)).advice == ("counts as HER2-low",)
    ultralow = read_counts(cells(faint_incomplete=50)).advice
    assert ultralow == ("counts as HER2-ultralow",)
    assert read_counts(cells(complete_intense=300)).advice == ()
    assert read_counts(cells()).advice == ()


def test_a_call_that_rests_on_few_cells_sends_to_the_gallery():
    look = "the call rests on 2 of 1,000 cells: look at them in the gallery"
    few = cells(complete_intense=2, faint_incomplete=500)
    assert read_counts(few).advice[-2:] == (look, SECOND)
    seen = PatternCounts(complete_intense=1)
    assert look not in read_counts(few, confirmed=seen).advice
    assert read_counts(few, confirmed=seen).advice[-1] == SECOND
    # 2+ without them as well
    beside = cells(complete_intense=2, complete_weak_moderate=500)
    assert look not in read_counts(beside).advice


def test_a_mixture_that_the_guideline_does_not_name_is_said_to_be_one():
    mixed = "the guideline is silent on this mixture of patterns: a convention"
    both = {"incomplete_moderate_intense": 60, "complete_weak_moderate": 60}
    for counts in (cells(**both), cells(**both, faint_incomplete=500)):
        found = read_counts(counts)
        assert (found.call, found.is_convention) == (Score.ONE, True)
        assert mixed in found.advice
    small = read_counts(cells(faint_incomplete=500, complete_weak_moderate=60))
    assert (small.call, small.is_convention) == (Score.ONE, False)


def test_the_h_score_stands_beside_and_decides_nothing():
    counts = cells(complete_intense=100)
    assert read_counts(counts).h_score is None
    strong = IntensityCounts(intense=1000)
    found = read_counts(counts, intensities=strong)
    assert (found.h_score, found.call) == (300, Score.TWO)
    with pytest.raises(ValueError, match="same cells"):
        read_counts(counts, intensities=IntensityCounts(intense=999))


def test_confirmed_cells_are_among_those_counted():
    with pytest.raises(ValueError, match="not among"):
        read_counts(cells(), confirmed=PatternCounts(complete_intense=1))
