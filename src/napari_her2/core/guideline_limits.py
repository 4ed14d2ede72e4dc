"""Numbers that a reading of counted cells needs and the guideline does not give.

All of them are preferences or measured properties of a method. None may be shown
as a number of ASCO/CAP.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

from napari_her2.core.guideline_lines import CUTOFF, Line
from napari_her2.core.membrane import PatternCounts
from napari_her2.core.score import Score

LEAST_CELLS: Final = 50
"""No score is given on fewer, on a slide as in a field of a camera: one of 640 × 480 px
at 0.25 µm/px holds some 50 to 150 cells. The guideline names no number."""

FEW_CELLS: Final = 100
"""A score on fewer comes with a word of caution: near 10 % the 95 % interval then
reaches 6 points and more to either side."""


@dataclass(frozen=True, slots=True)
class GuidelineLimits:
    """When no score is given.

    Parameters
    ----------
    least_cells
        Invasive tumour cells, 1 or more.
    most_hidden
        Share of them whose cytoplasm hides the membrane, in [0, 1].
    """

    least_cells: int = LEAST_CELLS
    most_hidden: float = 0.5

    def __post_init__(self) -> None:
        if not (self.least_cells >= 1 and 0 <= self.most_hidden <= 1):
            raise ValueError(f"limits are out of range: {self}")


@dataclass(frozen=True, slots=True)
class CellErrors:
    """How often a method of reading membranes sees too much.

    Where any cell is enough for a score, such errors alone give it to every large
    slide. At 0, the default, the rule is exact.

    Parameters
    ----------
    stained
        Share of unstained cells that are read as stained, in [0, 0.1).
    complete_intense
        Share of other cells that are read as complete and intense, in [0, 0.1).
    """

    stained: float = 0.0
    complete_intense: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= error < CUTOFF for error in astuple(self)):
            raise ValueError(
                "a method that misreads 10 % of the cells cannot be held against a "
                f"cut-off of 10 %: {self}"
            )

    def of(self, line: Line) -> float:
        """Return the error of a line for which any cell is enough."""
        return self.stained if line.score is Score.ULTRALOW else self.complete_intense

    def may_explain(self, line: Line, counts: PatternCounts) -> bool:
        """Whether any cell is enough for a line, but all may be errors.

        So it is where the 95 % interval of their share is not above the error.
        """
        if line.cut_off or not counts.of(line.patterns):
            return False
        return line.interval(counts).low <= self.of(line)


EXACT = CellErrors()
DEFAULT_LIMITS = GuidelineLimits()
