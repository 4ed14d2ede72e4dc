"""From shares of tumour cells to a HER2 score, line by line of the guideline.

Source: ASCO/CAP 2018 focused update, figure 1, affirmed 2023 (doi
10.1200/JCO.22.02864), with the strata 0 and 0+ of the CAP template 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_her2.core.membrane import ROUNDING, MembraneShares
from napari_her2.core.score import Score

CUTOFF = 0.10
"""Share of invasive tumour cells that a pattern has to exceed."""


@dataclass(frozen=True, slots=True)
class GuidelineCall:
    """A score with the line of the rule that gave it.

    ``is_convention`` marks lines where the guideline is silent.
    """

    score: Score
    rule: str
    is_convention: bool = False


def call_from_shares(shares: MembraneShares) -> GuidelineCall:
    """Apply the guideline to shares of invasive tumour cells.

    Examples
    --------
    >>> call_from_shares(MembraneShares(complete_intense=0.08)).score
    <Score.TWO: '2+'>
    """
    if _exceeds(shares.complete_intense):
        return GuidelineCall(
            Score.THREE, "complete intense membrane in > 10 % of cells"
        )
    if shares.complete_intense > 0:
        return GuidelineCall(Score.TWO, "complete intense membrane in <= 10 % of cells")
    if _exceeds(shares.complete_weak_moderate):
        return GuidelineCall(Score.TWO, "complete weak to moderate membrane in > 10 %")
    if _exceeds(shares.incomplete_moderate_intense):
        return GuidelineCall(
            Score.TWO, "incomplete moderate to intense membrane in > 10 % (unusual)"
        )
    if _exceeds(shares.stained):
        return GuidelineCall(
            Score.ONE,
            "faint incomplete membrane in > 10 % of cells",
            is_convention=not _exceeds(shares.faint_incomplete),
        )
    if shares.stained > 0:
        return GuidelineCall(
            Score.ULTRALOW,
            "faint incomplete membrane in > 0 and <= 10 % of cells",
            is_convention=shares.faint_incomplete < shares.stained,
        )
    return GuidelineCall(Score.ZERO, "no membrane staining")


def _exceeds(share: float) -> bool:
    return share > CUTOFF + ROUNDING
