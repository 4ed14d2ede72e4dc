"""What the cells of a slide say together: the call, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from napari_her2.cells.heterogeneity import Heterogeneity, heterogeneity
from napari_her2.core.guideline import (
    CellErrors,
    GuidelineLimits,
    GuidelineReading,
    read_counts,
)
from napari_her2.core.membrane import IntensityCounts, MembranePattern, PatternCounts

ERRORS: Final = CellErrors(stained=0.01, complete_intense=0.005)
"""How many cells the method misreads: on a real core without any staining it took .6 %
for stained. A single stained cell that a person has confirmed counts all the same."""

HIDING_OD: Final = 0.35
"""DAB beside the membrane that hides it."""


@dataclass(frozen=True, slots=True)
class CellCall:
    """A reading of cells by the guideline, and how the strongest of them lie.

    ``mean_membrane_od`` is the mean over stained tumour cells, NaN without any.
    """

    reading: GuidelineReading
    heterogeneity: Heterogeneity
    mean_membrane_od: float


def call_cells(
    cells: pa.Table,
    mpp: float,
    *,
    limits: GuidelineLimits | None = None,
    errors: CellErrors = ERRORS,
    confirmed: PatternCounts | None = None,
) -> CellCall:
    """Score the tumour cells of a table, as :mod:`napari_her2.cells.table` has them.

    Parameters
    ----------
    mpp
        Of the level-0 pixels that the places are given in.
    limits, errors, confirmed
        See :func:`~napari_her2.core.guideline.read_counts`.
    """
    tumour = cells.filter(cells["is_tumour"])
    pattern = tumour["pattern"].to_numpy()
    intensity = tumour["intensity"].to_numpy()
    beside = tumour["cytoplasm_dab_od"].to_numpy()
    unclear = pattern < MembranePattern.COMPLETE_WEAK_MODERATE
    hidden = float((unclear & (beside > HIDING_OD)).mean()) if len(beside) else 0.0
    reading = read_counts(
        PatternCounts.from_cells(pattern),
        limits=limits or GuidelineLimits(),
        floors=errors,
        confirmed=confirmed,
        intensities=IntensityCounts.from_cells(intensity),
        hidden_share=hidden,
    )
    places = np.stack([tumour["y_px"].to_numpy(), tumour["x_px"].to_numpy()], -1)
    strongest = pattern >= MembranePattern.COMPLETE_WEAK_MODERATE
    stained = pattern > MembranePattern.NONE
    density = tumour["membrane_od"].to_numpy()[stained]
    return CellCall(
        reading,
        heterogeneity(places * mpp, strongest if strongest.any() else stained),
        float(density.mean()) if density.size else float("nan"),
    )
