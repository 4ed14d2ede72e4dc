"""What an evaluation yields while it works; closing the generator stops it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The parts of an evaluation, in order; each writes its own results."""

    ARMS = "arms"
    TRANSLATION = "translation"
    LADDER = "ladder"
    SHIFT = "shift"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """``step`` of ``n_steps`` of some work is done."""

    work: str
    step: int
    n_steps: int
