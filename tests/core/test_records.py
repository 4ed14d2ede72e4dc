"""Suggestions, readers and what must be said beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import (
    FORCED,
    ControlMark,
    Evidence,
    Provenance,
    Reader,
    Suggestion,
)
from napari_her2.core.score import Score


@pytest.mark.parametrize("name", ["", "  ", "\n\t"])
def test_a_reader_needs_a_name(name):
    with pytest.raises(ValueError, match="needs a name"):
        Reader(name)


def test_a_stray_blank_makes_no_second_reader():
    assert Reader(" Anna   Müller\n") == Reader("Anna Müller")
    assert Reader("Anna Müller") != Reader("Anna Muller")


@pytest.mark.parametrize("evidence", list(Evidence))
def test_a_suggestion_without_real_ihc_says_what_is_missing(evidence):
    made_by = Provenance((("he", "x"),), "demo", "c0ffee", "napari-her2 0.1.0")
    suggestion = Suggestion(
        "r1", Score.TWO, (), evidence, BoxPx(0, 0, 1, 1), 1, made_by
    )
    assert ("IHC needed" in suggestion.caution) == (evidence is Evidence.HE_ONLY)
    assert evidence.is_synthetic == (evidence is Evidence.HE_ONLY)


def test_a_forced_suggestion_says_so_first():
    made_by = Provenance((("he", "x"),), "demo", "c0ffee", "napari-her2 0.1.0")
    given = ("r1", Score.TWO, (), Evidence.BOTH, BoxPx(0, 0, 1, 1), 1, made_by)
    assert Suggestion(*given, forced=True).caution == FORCED
    on_he = replace(Suggestion(*given, forced=True), evidence=Evidence.HE_ONLY)
    assert on_he.caution == f"{FORCED}; suggested from H&E; IHC needed"


@pytest.mark.parametrize(
    ("score", "box"),
    [(Score.TWO, BoxPx(0, 0, 9, 9)), (Score.THREE, BoxPx(5, 5, 5, 9))],
)
def test_a_control_reads_0_1_or_3_in_a_box(score, box):
    with pytest.raises(ValueError, match=r"control tissue"):
        ControlMark(score, box)
