"""Scores and their absence as values and as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.score import (
    NotAssessable,
    Score,
    Stain,
    call_from_text,
    call_to_text,
    scores_from_text,
    scores_to_text,
)

calls = st.sampled_from(Score) | st.text().filter(str.strip).map(NotAssessable)


@given(calls)
def test_a_call_written_as_text_is_read_back(call):
    assert call_from_text(call_to_text(call)) == call


@pytest.mark.parametrize(
    "text", ["", "1", "+1", "4+", "0 +", "not assessable", "not assessable: "]
)
def test_text_that_is_no_call_is_refused(text):
    with pytest.raises(ValueError, match=r"valid Score|needs its reason"):
        call_from_text(text)


def test_scores_are_ordered_from_null_to_three_plus():
    assert [str(score) for score in Score] == ["0", "0+", "1+", "2+", "3+"]
    assert [score.rank for score in Score] == [0, 1, 2, 3, 4]
    assert len({score.meaning for score in Score}) == 5


def test_not_assessable_is_never_a_score():
    missing = NotAssessable("no invasive tumour")
    assert missing not in list(Score)
    assert str(missing) == "not assessable: no invasive tumour"
    with pytest.raises(ValueError, match="reason"):
        NotAssessable("  ")


def test_stains_have_the_names_of_the_clinic():
    assert [stain.label for stain in Stain] == ["H&E", "HER2 IHC"]


@given(st.sets(st.sampled_from(Score)))
def test_a_set_of_scores_is_read_back_in_order(scores):
    read = scores_from_text(scores_to_text(scores))
    assert read == tuple(sorted(scores, key=lambda score: score.rank))


def test_a_set_reads_as_a_person_would_say_it():
    assert scores_to_text([Score.THREE]) == "3+"
    assert scores_to_text([Score.TWO, Score.ONE]) == "1+ or 2+"
    assert scores_to_text(reversed(Score)) == "0, 0+, 1+, 2+ or 3+"


def test_text_that_is_no_set_of_scores_is_refused():
    with pytest.raises(ValueError, match="valid Score"):
        scores_from_text("1+ or 4+")
