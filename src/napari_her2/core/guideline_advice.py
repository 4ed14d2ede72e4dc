"""What to say beside a call of the guideline: how near it is, and what comes next.

Categories: ISH after 2+ from ASCO/CAP 2018; HER2-low is 1+, or 2+ with negative ISH
(ESMO consensus, Ann Oncol 2023;34:645); HER2-ultralow is 0+ (Mod Pathol 2026;39:
100925, which also asks for a second reader of borderline cases).
"""

from __future__ import annotations

from dataclasses import astuple

from napari_her2.core.guideline_lines import Line
from napari_her2.core.membrane import PatternCounts
from napari_her2.core.score import NotAssessable, Score

NO_STAINING = "no membrane staining"
BEYOND_ERRORS = "no membrane staining beyond what the method misreads"
MIXED = "the guideline is silent on this mixture of patterns: a convention"
SECOND_READER = "second reader: the call lies near a cut-off"


def too_few(n_cells: int, least: int) -> NotAssessable:
    """Say that there are not enough cells for a score."""
    cells = "cell" if n_cells == 1 else "cells"
    return NotAssessable(
        f"only {n_cells:,} invasive tumour {cells}; at least {least:,} are needed"
    )


def few(n_cells: int) -> str:
    """Say that a score rests on few cells."""
    return f"few cells ({n_cells:,}): count more of the tumour"


def hidden(share: float) -> NotAssessable:
    """Say that cytoplasm hides the membrane."""
    return NotAssessable(
        f"cytoplasm hides the membrane of {100 * share:.0f} % of the cells; "
        "the pathologist decides"
    )


def straddling(line: Line, counts: PatternCounts) -> str:
    """Say that the share of a line could lie on the other side of its cut-off."""
    found = line.interval(counts)
    value, low, high = (f"{100 * share:.1f}" for share in astuple(found))
    return f"{line.share} {value} % ({low}–{high}): the interval straddles 10 %"


def doubted(line: Line, counts: PatternCounts, error: float) -> str:
    """Say that errors of the method may explain all cells that a line counts."""
    return (
        f"{_some(line, counts)} look {line.share}, not clearly more than the method "
        f"misreads ({100 * error:.2g} %): confirm one in the gallery to call "
        f"{line.score}"
    )


def resting_on_few(line: Line, counts: PatternCounts) -> str:
    """Say that a call is made by a few cells which nobody has looked at."""
    return f"the call rests on {_some(line, counts)}: look at them in the gallery"


def next_steps(score: Score, rule: str) -> tuple[str, ...]:
    """Say what follows from a score, and what it is counted as."""
    match score:
        case Score.TWO:
            return (
                "in situ hybridisation on the same specimen, or a new test "
                f"(2+ for {rule})",
                "counts as HER2-low if in situ hybridisation is negative",
            )
        case Score.ONE:
            return ("counts as HER2-low",)
        case Score.ULTRALOW:
            return ("counts as HER2-ultralow",)
        case _:
            return ()


def _some(line: Line, counts: PatternCounts) -> str:
    return f"{counts.of(line.patterns):,} of {counts.n:,} cells"
