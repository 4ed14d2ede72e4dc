"""Which cells a call rests on: those a reader looks at before agreeing with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from napari_her2.core.guideline import GuidelineReading
from napari_her2.core.guideline_lines import LINES, STAINED
from napari_her2.core.score import Score

FEW: Final = 12
"""Cells shown where any stained one counts."""

EACH: Final = 4
"""Cells shown of either end where a share counts."""


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Rows of a table of cells, the first to look at first, and what they are."""

    title: str
    rows: tuple[int, ...]


def cells_behind(cells: pa.Table, reading: GuidelineReading) -> tuple[CellGroup, ...]:
    """Return the cells behind a reading of a table.

    Where any stained cell would count (0 and 0+) these are the stained ones, the
    strongest first. Else both ends of those that the deciding line counts: by how
    complete they are for 3+, by how strong for the others.
    """
    tumour = cells["is_tumour"].to_numpy()
    pattern = cells["pattern"].to_numpy()
    completeness = np.nan_to_num(cells["completeness"].to_numpy())
    strength = np.nan_to_num(cells["membrane_od"].to_numpy()) * completeness
    line = next((one for one in LINES if one.rule == reading.rule), None)
    counted = tumour & np.isin(pattern, line.patterns if line else STAINED)
    if not counted.any():
        almost = _sorted(tumour & (completeness > 0), completeness)
        return _groups(("Closest to staining", almost[:EACH]))
    if line is None or line.score is Score.ULTRALOW:
        strongest = _sorted(counted, strength + pattern)
        return _groups(("Stained cells, strongest first", strongest[:FEW]))
    by_round = line.score is Score.THREE
    order = _sorted(counted, completeness if by_round else strength)
    most, least = ("Most", "Least") if by_round else ("Strongest", "Weakest")
    what = "complete" if by_round else "that count"
    return _groups(
        (f"{most} {what}", order[:EACH]),
        (f"{least} {what}", order[EACH:][::-1][:EACH]),
    )


def _sorted(there: NDArray[np.bool_], by: NDArray[np.floating]) -> list[int]:
    rows = np.flatnonzero(there)
    found: list[int] = rows[np.argsort(-by[rows], kind="stable")].tolist()
    return found


def _groups(*groups: tuple[str, list[int]]) -> tuple[CellGroup, ...]:
    return tuple(CellGroup(title, tuple(rows)) for title, rows in groups if rows)
