"""The lines of the guideline in their order, each a share that has to be exceeded.

The first line that fires gives the score, and those after it are not asked. Where
none does, the score is 0. Source: ASCO/CAP 2018 focused update, figure 1, affirmed
2023 (doi 10.1200/JCO.22.02864), with the strata 0 and 0+ of the CAP template 2025.
The figure has no order; this one follows from it, for a slide that fits two rows
gets the higher score.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from napari_her2.core.membrane import (
    ROUNDING,
    MembranePattern,
    MembraneShares,
    PatternCounts,
)
from napari_her2.core.proportion import Interval, wilson
from napari_her2.core.score import Score

CUTOFF = 0.10
"""Share of invasive tumour cells that a pattern has to exceed."""

INTENSE = (MembranePattern.COMPLETE_INTENSE,)
COMPLETE = (MembranePattern.COMPLETE_WEAK_MODERATE, *INTENSE)
INCOMPLETE = (MembranePattern.INCOMPLETE_MODERATE_INTENSE, *INTENSE)
STAINED = tuple(MembranePattern)[1:]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the guideline: fires where a share of cells exceeds its cut-off.

    ``share`` names the share, ``rule`` says the line in words. A ``cut_off`` of 0
    means that any cell is enough.
    """

    score: Score
    patterns: tuple[MembranePattern, ...]
    cut_off: float
    share: str
    rule: str

    def fires(self, shares: MembraneShares) -> bool:
        """Whether the share of cells exceeds the cut-off."""
        return exceeds(shares.of(self.patterns), self.cut_off)

    def interval(self, counts: PatternCounts) -> Interval:
        """Return the share with Wilson's 95 % interval."""
        return wilson(counts.of(self.patterns), counts.n)

    def is_near(self, counts: PatternCounts) -> bool:
        """Whether as many other cells of the same tissue could as well differ here.

        The interval holds a cut-off of 10 %; or there is a cell where any is
        enough, but no more than the interval of none of as many reaches.
        """
        found = self.interval(counts)
        if self.cut_off == 0:
            return 0 < found.value <= wilson(0, counts.n).high
        return found.covers(self.cut_off)


LINES = (
    Line(
        Score.THREE,
        INTENSE,
        CUTOFF,
        "complete intense",
        "complete intense membrane in > 10 % of cells",
    ),
    Line(
        Score.TWO,
        INTENSE,
        0.0,
        "complete and intense",
        "complete intense membrane in <= 10 % of cells",
    ),
    Line(
        Score.TWO,
        COMPLETE,
        CUTOFF,
        "complete",
        "complete weak to moderate membrane in > 10 %",
    ),
    Line(
        Score.TWO,
        INCOMPLETE,
        CUTOFF,
        "incomplete moderate to intense",
        "incomplete moderate to intense membrane in > 10 % (unusual)",
    ),
    Line(
        Score.ONE,
        STAINED,
        CUTOFF,
        "stained",
        "faint incomplete membrane in > 10 % of cells",
    ),
    Line(
        Score.ULTRALOW,
        STAINED,
        0.0,
        "stained",
        "faint incomplete membrane in > 0 and <= 10 % of cells",
    ),
)
"""Complete intense cells count on the lines for weaker ones too: where a method's
errors may explain all of them their own line does not fire, and they must not make
the score lower than weaker cells in their place would."""


def exceeds(share: float, cut_off: float) -> bool:
    """Whether a share lies above a cut-off; above 0 is any cell."""
    return share > (cut_off + ROUNDING if cut_off else 0)


def deciding_line(
    shares: MembraneShares, passed_over: Container[Line] = ()
) -> Line | None:
    """Return the first line that fires; None where none does, which is a 0."""
    asked = (line for line in LINES if line not in passed_over)
    return next((line for line in asked if line.fires(shares)), None)


def lines_asked(decided: Line | None) -> tuple[Line, ...]:
    """Return the lines up to the one that decided."""
    return LINES if decided is None else LINES[: LINES.index(decided) + 1]


def is_convention(decided: Line | None, shares: MembraneShares) -> bool:
    """Whether the guideline is silent on such a mixture of patterns.

    It names 1+ and 0+ by faint incomplete membranes alone. Here stronger ones that
    reach no line of their own count with them.
    """
    faint, stronger = shares.faint_incomplete, shares.stained - shares.faint_incomplete
    if decided is None or decided.score.rank > Score.ONE.rank:
        return False
    if decided.score is Score.ONE:
        return not exceeds(faint, CUTOFF) or exceeds(stronger, CUTOFF)
    return faint < shares.stained
