"""Early stopping: the best weights by a validation score, and when to give up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

WATCHED = "validation_macro_f1"
"""Value of a step that decides; the larger the better."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best validation so far.

    Parameters
    ----------
    score
        The best value, minus infinity before the first.
    step
        Step after which it was measured.
    stale
        Validations since then that were not better.
    """

    score: float = float("-inf")
    step: int = 0
    stale: int = 0

    def after(self, score: float, step: int) -> Best:
        """Return the state after one more validation."""
        if score > self.score:
            return Best(score, step, 0)
        return replace(self, stale=self.stale + 1)

    def to_notes(self) -> dict[str, str]:
        """Return the notes of a checkpoint."""
        return {
            "best_score": repr(self.score),
            "best_step": str(self.step),
            "stale": str(self.stale),
        }

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> Self:
        """Read what :meth:`to_notes` wrote; a fresh start where it is missing."""
        if "best_score" not in notes:
            return cls()
        return cls(
            float(notes["best_score"]), int(notes["best_step"]), int(notes["stale"])
        )
