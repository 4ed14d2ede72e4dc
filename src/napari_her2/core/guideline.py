"""From shares of tumour cells to a HER2 score, with the line that gave it.

The lines and their source: :mod:`napari_her2.core.guideline_lines`.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_her2.core.guideline_lines import deciding_line, is_convention
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score


@dataclass(frozen=True, slots=True)
class GuidelineCall:
    """A score with the line of the rule that gave it.

    ``is_convention`` marks mixtures on which the guideline is silent.
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
    line = deciding_line(shares)
    if line is None:
        return GuidelineCall(Score.ZERO, "no membrane staining")
    return GuidelineCall(line.score, line.rule, is_convention(line, shares))
