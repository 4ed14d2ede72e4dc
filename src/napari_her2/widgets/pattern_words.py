"""Membrane patterns, cells and their call in words that fit into a dock."""

from __future__ import annotations

from typing import Final

from napari_her2.app.cells_read import CellsRead
from napari_her2.core.guideline_advice import MIXED
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.proportion import Interval
from napari_her2.core.records import CellBasis
from napari_her2.core.score import NotAssessable

SHORT: Final = {
    MembranePattern.NONE: "No staining",
    MembranePattern.FAINT_INCOMPLETE: "Faint incomplete",
    MembranePattern.INCOMPLETE_MODERATE_INTENSE: "Incomplete mod.–int.",
    MembranePattern.COMPLETE_WEAK_MODERATE: "Complete weak–mod.",
    MembranePattern.COMPLETE_INTENSE: "Complete intense",
}
LONG: Final = {
    MembranePattern.NONE: "No membrane staining",
    MembranePattern.FAINT_INCOMPLETE: "Faint incomplete membrane",
    MembranePattern.INCOMPLETE_MODERATE_INTENSE: (
        "Incomplete, moderate to intense membrane"
    ),
    MembranePattern.COMPLETE_WEAK_MODERATE: "Complete, weak to moderate membrane",
    MembranePattern.COMPLETE_INTENSE: "Complete, intense membrane",
}
SILENT: Final = "Convention: the guideline is silent"


def share_words(share: Interval) -> str:
    """Return a share with its interval, in percent."""
    value, low, high = (
        f"{100 * each:.1f}" for each in share.to_json() if each is not None
    )
    return f"{value} % ({low}–{high})"


def meaning_line(basis: CellBasis) -> str:
    """Say what decided, as a sentence beside the call."""
    reading = basis.reading
    if isinstance(reading.call, NotAssessable):
        return f"No score: {reading.call.reason}"
    return reading.rule[:1].upper() + reading.rule[1:]


def count_line(basis: CellBasis) -> str:
    """Say how many cells were counted, where, and how many a person looked at."""
    n_judged = basis.n_judged
    seen = f"readers looked at {n_judged:,}" if n_judged else "none looked at"
    return f"{basis.reading.n_cells:,} tumour cells, {seen}; {basis.tumour}."


def advice_lines(basis: CellBasis) -> str:
    """Return what is near a cut-off and what to do, one line each."""
    reading = basis.reading
    lines = [line for line in (*reading.straddles, *reading.advice) if line != MIXED]
    return "\n".join(f"• {line[:1].upper()}{line[1:]}" for line in lines)


def cell_line(read: CellsRead, row: int) -> str:
    """Describe one cell of the table."""
    cell = read.cells.slice(row, 1).to_pylist()[0]
    if not cell["is_tumour"]:
        return "Not counted as a tumour cell"
    words = LONG[MembranePattern(cell["pattern"])]
    told = "a reader's word" if read.judged[row] else "as read"
    measured = f"{100 * cell['completeness']:.0f} % round, OD {cell['membrane_od']:.2f}"
    return f"{words} ({told}; {measured})"
