"""Version 3 of the exported scores: version 2 and what counted cells gave.

A suggestion read from the cells of the real IHC has no bundle and no probabilities.
Its number of cells, shares and intervals stand in columns of their own, with the line
of the guideline that decided, and what a network said beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from napari_her2.core.membrane import MembranePattern
from napari_her2.core.proportion import Interval
from napari_her2.core.records import CellBasis, Decision, Suggestion
from napari_her2.core.score import call_to_text
from napari_her2.export.schema import v1, v2
from napari_her2.review.record import ReviewRecord

SCHEMA: Final = "napari-her2/scores/3"

_PCT: Final = {
    pattern: f"pct_{pattern.name.lower()}" for pattern in reversed(MembranePattern)
}
_NEW: Final = (
    "n_cells",
    "n_cells_judged",
    *_PCT.values(),
    "pct_ci95",
    "cell_rule",
    "cell_tumour",
    "cell_heterogeneity",
    "network_score",
)
_PLACE: Final = v2.COLUMNS.index("bundle")
COLUMNS: Final = (*v2.COLUMNS[:_PLACE], *_NEW, *v2.COLUMNS[_PLACE:])
"""Columns of the flat form, in order: those of version 2 and twelve more.

They are empty unless the suggestion beside a decision was read from cells. ``n_cells``
are tumour cells, ``n_cells_judged`` those that readers looked at; ``pct_none`` to
``pct_complete_intense`` are percent of them, ``pct_ci95`` the 95 % intervals in the
same order; ``cell_rule`` is the line of the guideline that decided, ``cell_tumour``
who said where the tumour is; ``network_score`` is what a network said beside it.
"""


def row(record: ReviewRecord) -> dict[str, str]:
    """Return the flat form of a record, text in every column."""
    cells = v2.row(record)
    return {name: cells.get(name, "") for name in COLUMNS} | {
        "schema_version": SCHEMA,
        **({} if record.decision is None else _cells(record.decision)),
    }


def document(records: Iterable[ReviewRecord], journal_head: str) -> dict[str, Any]:
    """Return all records as one tree of plain JSON values; see :func:`v1.document`."""
    chosen = tuple(records)
    tree = v2.document(chosen, journal_head) | {"schema": SCHEMA}
    for record, branch in zip(chosen, tree["records"], strict=True):
        for decision, told in v2.decision_trees(record, branch):
            told["beside"] = (
                None if decision.beside is None else _beside_tree(decision.beside)
            )
            if decision.suggestion is not None:
                basis = decision.suggestion.cells
                told["suggestion"]["cells"] = None if basis is None else _tree(basis)
    return tree


def _beside_tree(suggestion: Suggestion) -> dict[str, Any]:
    return v1.suggestion_tree(suggestion) | v2.suggestion_tree(suggestion)


def _tree(basis: CellBasis) -> dict[str, Any]:
    reading = basis.reading
    h_score = reading.h_score
    return {
        "n_cells": reading.n_cells,
        "n_cells_judged": basis.n_judged,
        "shares": {
            pattern.name.lower(): _interval_tree(reading.shares[pattern])
            for pattern in MembranePattern
        },
        "rule": reading.rule,
        "is_convention": reading.is_convention,
        "straddles": list(reading.straddles),
        "advice": list(reading.advice),
        "h_score": None if h_score is None or math.isnan(h_score) else h_score,
        "tumour": basis.tumour,
        "heterogeneity": basis.heterogeneity,
    }


def _interval_tree(share: Interval) -> dict[str, float | None]:
    return dict(zip(("share", "ci95_low", "ci95_high"), share.to_json(), strict=True))


def _cells(decision: Decision) -> dict[str, str]:
    basis = None if decision.suggestion is None else decision.suggestion.cells
    if basis is None:
        return {}
    reading, beside = basis.reading, decision.beside
    cells = {
        "n_cells": str(reading.n_cells),
        "n_cells_judged": str(basis.n_judged),
        "cell_rule": reading.rule,
        "cell_tumour": basis.tumour,
        "cell_heterogeneity": basis.heterogeneity,
        "network_score": "" if beside is None else call_to_text(beside.call),
    }
    if reading.n_cells:
        shares = {name: reading.shares[pattern] for pattern, name in _PCT.items()}
        cells |= {name: _percent(share.value) for name, share in shares.items()}
        cells["pct_ci95"] = "; ".join(
            f"{_percent(share.low)} to {_percent(share.high)}"
            for share in shares.values()
        )
    return cells


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
