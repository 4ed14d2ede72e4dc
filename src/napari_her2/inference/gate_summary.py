"""One verdict on the reconstructed stain for a region, from those of its tiles.

A pathologist asks of a region whether the reconstruction was used and why, so the
summary says what holds in most of the area and gives the means of the five numbers
there; how much of the area that is, the arms of a suggestion say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

from napari_her2.core.records import GateVerdict

_NUMBERS = [f.name for f in fields(GateVerdict) if f.name not in ("accepted", "reason")]


def summed_up(verdicts: Sequence[tuple[GateVerdict, float]]) -> GateVerdict | None:
    """Return the verdict that holds in most of the area, None where there is none.

    Parameters
    ----------
    verdicts
        Verdict and area of each tile, in grid order; the areas are above 0.
    """
    if not verdicts:
        return None
    used = math.fsum(area for verdict, area in verdicts if verdict.accepted)
    whole = math.fsum(area for _, area in verdicts)
    accepted = 2 * used >= whole
    chosen = [(v, area) for v, area in verdicts if v.accepted == accepted]
    weight = used if accepted else whole - used
    means = {
        name: math.fsum(getattr(v, name) * area for v, area in chosen) / weight
        for name in _NUMBERS
    }
    return GateVerdict(
        accepted=accepted, reason=_reason(means, accepted=accepted), **means
    )


def _reason(means: dict[str, float], *, accepted: bool) -> str:
    if accepted:
        return "it made the call surer"
    if means["confidence_with"] <= means["confidence"]:
        return "it did not make the call surer"
    return "it looks untypical of its class"
