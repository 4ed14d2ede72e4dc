"""What is said about the stain an image was given as; never acted upon alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from napari_her2.core.score import Stain
from napari_her2.stain.separation import stain_by_colour

SURE: Final = 0.9
"""Least probability at which the selector's answer counts."""


class Agreement(StrEnum):
    """How the declared stain fits what is seen."""

    MATCHES = "matches"
    MISMATCH = "mismatch"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class StainVerdict:
    """Whether an image shows the stain it was given as.

    A person decides what an image is: this is shown to them, and overrules
    nothing. ``probability`` is the selector's for the declared stain, in [0, 1];
    ``dab_share`` that of the colours, NaN where there is too little tissue;
    ``reason`` is a sentence to show.
    """

    declared: Stain
    agreement: Agreement
    probability: float
    dab_share: float
    reason: str


def judge_stain(
    declared: Stain, probability: float, share: float, *, sure: float = SURE
) -> StainVerdict:
    """Weigh the selector's probability of the declared stain and the colours.

    Unsure if neither stain reaches ``sure``, or if the colours speak for another
    stain than the selector; colours that speak for none do not contradict.

    Examples
    --------
    >>> judge_stain(Stain.HE, 0.02, 0.97).agreement
    <Agreement.MISMATCH: 'mismatch'>
    >>> judge_stain(Stain.HE, 0.02, 0.50).reason
    'The selector sees HER2 IHC, the colours are those of H&E.'
    """
    other = Stain.IHC if declared is Stain.HE else Stain.HE
    seen = declared if probability >= 0.5 else other
    colour = stain_by_colour(share)
    if math.isnan(probability) or max(probability, 1 - probability) < sure:
        agreement = Agreement.UNSURE
        reason = "The selector cannot tell which stain this is."
    elif colour not in (None, seen):
        agreement = Agreement.UNSURE
        reason = (
            f"The selector sees {seen.label}, the colours are those of {colour.label}."
        )
    elif seen is declared:
        agreement = Agreement.MATCHES
        reason = f"It looks like {declared.label}, as given."
    else:
        agreement = Agreement.MISMATCH
        reason = f"It was given as {declared.label} but looks like {seen.label}."
    return StainVerdict(declared, agreement, probability, share, reason)
