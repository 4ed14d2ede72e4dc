"""What the membrane of a tumour cell looks like, and cells counted by it.

The patterns are those of ASCO/CAP 2018, figure 1. A pattern is an intensity and a
completeness; the guideline names some pairs of them and is silent on others.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""Less than one cell in any slide: sums of shares are not exact."""


class Intensity(IntEnum):
    """How strongly a membrane is stained; faint is barely perceptible."""

    NONE = 0
    FAINT = 1
    WEAK = 2
    MODERATE = 3
    INTENSE = 4


class Completeness(IntEnum):
    """How much of its way around the cell a membrane is stained."""

    NONE = 0
    INCOMPLETE = 1
    COMPLETE = 2


class MembranePattern(IntEnum):
    """Membrane pattern of a cell, in the words of the guideline.

    The numbers are written into files. A pattern is stronger than those before it,
    but for the two in the middle: neither of them is stronger than the other.
    """

    NONE = 0
    FAINT_INCOMPLETE = 1
    INCOMPLETE_MODERATE_INTENSE = 2
    COMPLETE_WEAK_MODERATE = 3
    COMPLETE_INTENSE = 4


_PATTERNS = np.array(
    [  # by completeness: none, incomplete, complete
        (0, 0, 0),  # no staining
        (0, 1, 1),  # faint
        (0, 1, 3),  # weak
        (0, 2, 3),  # moderate
        (0, 2, 4),  # intense
    ],
    np.int8,
)
"""Pattern by intensity and completeness."""


def pattern_of(intensity: Intensity, completeness: Completeness) -> MembranePattern:
    """Return the pattern of a cell.

    Weak incomplete and faint complete membranes are ``FAINT_INCOMPLETE``: a
    convention, the guideline is silent on both. No intensity or no completeness
    is no staining.

    Examples
    --------
    >>> pattern_of(Intensity.MODERATE, Completeness.COMPLETE).name
    'COMPLETE_WEAK_MODERATE'
    """
    return MembranePattern(int(_PATTERNS[intensity, completeness]))


def patterns_of(
    intensity: NDArray[np.integer[Any]], completeness: NDArray[np.integer[Any]]
) -> NDArray[np.int8]:
    """Return the patterns (n,) of many cells, see :func:`pattern_of`."""
    found: NDArray[np.int8] = _PATTERNS[intensity, completeness]
    return found


@dataclass(frozen=True, slots=True)
class MembraneShares:
    """Shares of invasive tumour cells by membrane pattern, each in [0, 1].

    What they lack to 1 is the share of unstained cells.
    """

    complete_intense: float = 0.0
    complete_weak_moderate: float = 0.0
    incomplete_moderate_intense: float = 0.0
    faint_incomplete: float = 0.0

    def __post_init__(self) -> None:
        values = [getattr(self, field.name) for field in fields(self)]
        # put so that a share that is not a number is refused too
        if not (all(value >= 0 for value in values) and sum(values) <= 1 + ROUNDING):
            raise ValueError(f"shares must lie in [0, 1] and sum to at most 1: {self}")

    @property
    def stained(self) -> float:
        """Share of cells with any membrane staining."""
        return (
            self.complete_intense
            + self.complete_weak_moderate
            + self.incomplete_moderate_intense
            + self.faint_incomplete
        )

    def of(self, patterns: Iterable[MembranePattern]) -> float:
        """Return the share of cells that have one of some patterns of staining."""
        return sum(float(getattr(self, each.name.lower())) for each in patterns)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Numbers of cells: one field for each member of an IntEnum, in its order."""

    def __post_init__(self) -> None:
        for field in fields(self):
            number = operator.index(getattr(self, field.name))
            if number < 0:
                raise ValueError(f"numbers of cells must not be negative: {self}")
            # numpy's own numbers could overflow in a sum
            object.__setattr__(self, field.name, number)

    @classmethod
    def from_cells(cls, cells: NDArray[np.integer[Any]]) -> Self:
        """Count cells, an array of any shape with a member's number for each.

        Raises
        ------
        ValueError
            If a number is that of no member.
        """
        members, numbers = len(fields(cls)), np.ravel(cells)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < members):
            raise ValueError(f"cells must have numbers from 0 to {members - 1}")
        return cls(*np.bincount(numbers, minlength=members).tolist())

    @property
    def n(self) -> int:
        """Number of cells, unstained ones included."""
        return sum(astuple(self))

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(operator.add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class PatternCounts(_Counts):
    """Numbers of invasive tumour cells by :class:`MembranePattern`.

    Examples
    --------
    >>> cells = np.array([MembranePattern.NONE, MembranePattern.COMPLETE_INTENSE])
    >>> PatternCounts.from_cells(cells).shares().complete_intense
    0.5
    """

    none: int = 0
    faint_incomplete: int = 0
    incomplete_moderate_intense: int = 0
    complete_weak_moderate: int = 0
    complete_intense: int = 0

    @property
    def stained(self) -> int:
        """Number of cells with any membrane staining."""
        return self.n - self.none

    def of(self, patterns: Iterable[MembranePattern]) -> int:
        """Return the number of cells that have one of some patterns."""
        return sum(int(getattr(self, each.name.lower())) for each in patterns)

    def shares(self) -> MembraneShares:
        """Divide by the number of cells; of no cells all shares are 0.

        That is no score of 0: ask for ``n`` first.
        """
        total = max(1, self.n)
        return MembraneShares(
            complete_intense=self.complete_intense / total,
            complete_weak_moderate=self.complete_weak_moderate / total,
            incomplete_moderate_intense=self.incomplete_moderate_intense / total,
            faint_incomplete=self.faint_incomplete / total,
        )


@dataclass(frozen=True, slots=True)
class IntensityCounts(_Counts):
    """Numbers of invasive tumour cells by :class:`Intensity`."""

    none: int = 0
    faint: int = 0
    weak: int = 0
    moderate: int = 0
    intense: int = 0

    @property
    def h_score(self) -> float:
        """100 times the mean of weak 1, moderate 2, intense 3: from 0 to 300.

        Faint staining counts as none, a convention; of no cells it is not a
        number. Source: McCarty, Arch Pathol Lab Med 1985;109:716, for hormone
        receptors. **Not an ASCO/CAP criterion**, no HER2 score follows from it.
        """
        if self.n == 0:
            return math.nan
        return 100 * (self.weak + 2 * self.moderate + 3 * self.intense) / self.n
