"""What readers said of single cells, laid over the table that software read.

A correction holds for a place on the slide, not for a row: a table that is read
again, over another region too, finds the same cells within a few µm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.membrane import Intensity, MembranePattern, PatternCounts

MATCH_UM: Final = 4.0
"""How far a cell may lie from the place of a correction: less than a radius."""

_INTENSITY: Final = {
    MembranePattern.NONE: (Intensity.NONE, Intensity.NONE),
    MembranePattern.FAINT_INCOMPLETE: (Intensity.FAINT, Intensity.WEAK),
    MembranePattern.INCOMPLETE_MODERATE_INTENSE: (
        Intensity.MODERATE,
        Intensity.INTENSE,
    ),
    MembranePattern.COMPLETE_WEAK_MODERATE: (Intensity.WEAK, Intensity.MODERATE),
    MembranePattern.COMPLETE_INTENSE: (Intensity.INTENSE, Intensity.INTENSE),
}
"""The intensities a pattern goes with, from the least to the most."""


@dataclass(frozen=True, slots=True)
class CellCorrection:
    """A reader's word on the cell at a place (y, x) in level-0 pixels."""

    y_px: float
    x_px: float
    verdict: CellVerdict


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedCells:
    """A table with readers' words in it; ``judged`` (n,) tells which rows have one."""

    cells: pa.Table
    judged: NDArray[np.bool_]

    @property
    def confirmed(self) -> PatternCounts:
        """Tumour cells that a person looked at, by the pattern they gave."""
        there = self.judged & self.cells["is_tumour"].to_numpy()
        return PatternCounts.from_cells(self.cells["pattern"].to_numpy()[there])


def correct_cells(
    cells: pa.Table, corrections: Iterable[CellCorrection], mpp: float
) -> CorrectedCells:
    """Lay corrections, oldest first, over cells of a slide of that scale.

    The last word on a cell holds. A place without a cell near it is passed over:
    it lies in a part that was not read.
    """
    judged = np.zeros(cells.num_rows, bool)
    verdicts = _by_row(cells, corrections, mpp)
    if not verdicts:
        return CorrectedCells(cells, judged)
    columns = {
        name: cells[name].to_numpy().copy()
        for name in ("is_tumour", "pattern", "intensity")
    }
    for row, verdict in verdicts.items():
        judged[row] = True
        pattern = verdict.pattern
        columns["is_tumour"][row] = pattern is not None
        if pattern is not None:
            columns["pattern"][row] = pattern
            least, most = _INTENSITY[pattern]
            columns["intensity"][row] = np.clip(columns["intensity"][row], least, most)
    for name, values in columns.items():
        place = cells.schema.get_field_index(name)
        kind = cells.schema.field(name).type
        cells = cells.set_column(place, name, pa.array(values, kind))
    return CorrectedCells(cells, judged)


def _by_row(
    cells: pa.Table, corrections: Iterable[CellCorrection], mpp: float
) -> dict[int, CellVerdict]:
    corrections = tuple(corrections)
    if not cells.num_rows or not corrections:
        return {}
    places = np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1)
    wanted = [(each.y_px, each.x_px) for each in corrections]
    away_px, rows = cKDTree(places).query(wanted)
    verdicts: dict[int, CellVerdict] = {}
    for correction, away, row in zip(corrections, away_px * mpp, rows, strict=True):
        if away > MATCH_UM:
            continue
        if correction.verdict is CellVerdict.WITHDRAWN:
            verdicts.pop(int(row), None)
        else:
            verdicts[int(row)] = correction.verdict
    return verdicts
