"""The five strata of HER2 immunohistochemistry, and the absence of a score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Stain(StrEnum):
    """What a slide was stained with."""

    HE = "he"
    IHC = "ihc"

    @property
    def label(self) -> str:
        """The name a pathologist uses."""
        return {"he": "H&E", "ihc": "HER2 IHC"}[self.value]


class Score(StrEnum):
    """HER2 IHC score with the strata of ASCO/CAP 2018/2023 and CAP 2025.

    ``ULTRALOW`` (0+) is faint incomplete staining in more than none and at most
    10 % of invasive tumour cells.
    """

    ZERO = "0"
    ULTRALOW = "0+"
    ONE = "1+"
    TWO = "2+"
    THREE = "3+"

    @property
    def rank(self) -> int:
        """Position from 0 (null) to 4 (3+)."""
        return list(Score).index(self)

    @property
    def meaning(self) -> str:
        """What the stratum means for treatment, in words."""
        return {
            Score.ZERO: "HER2-negative, no staining (null)",
            Score.ULTRALOW: "HER2-negative, ultralow",
            Score.ONE: "HER2-negative, low",
            Score.TWO: "equivocal: in situ hybridisation needed",
            Score.THREE: "HER2-positive",
        }[self]


@dataclass(frozen=True, slots=True)
class NotAssessable:
    """A named reason that stands where a score would; it is never a 0."""

    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a result that is not assessable needs its reason")

    def __str__(self) -> str:
        return f"not assessable: {self.reason}"


Call = Score | NotAssessable
"""What a suggestion or a decision may say."""


def call_to_text(call: Call) -> str:
    """Write a call as text.

    Examples
    --------
    >>> call_to_text(Score.ULTRALOW), call_to_text(NotAssessable("no tissue"))
    ('0+', 'not assessable: no tissue')
    """
    return str(call)


def call_from_text(text: str) -> Call:
    """Read a call that :func:`call_to_text` wrote.

    Raises
    ------
    ValueError
        If the text is no score and does not begin with ``not assessable: ``.
    """
    head = "not assessable: "
    if text.startswith(head):
        return NotAssessable(text.removeprefix(head))
    return Score(text)


def scores_to_text(scores: Iterable[Score]) -> str:
    """Write a set of scores as a reader would say it, lowest first.

    Examples
    --------
    >>> scores_to_text([Score.TWO, Score.ONE])
    '1+ or 2+'
    >>> scores_to_text([Score.ZERO, Score.ULTRALOW, Score.ONE])
    '0, 0+ or 1+'
    """
    *first, last = [str(s) for s in sorted(scores, key=lambda s: s.rank)] or [""]
    return f"{', '.join(first)} or {last}" if first else last


def scores_from_text(text: str) -> tuple[Score, ...]:
    """Read a set of scores that :func:`scores_to_text` wrote.

    Raises
    ------
    ValueError
        If a part of the text is no score.
    """
    parts = text.replace(" or ", ", ").split(", ") if text else []
    return tuple(Score(part) for part in parts)
