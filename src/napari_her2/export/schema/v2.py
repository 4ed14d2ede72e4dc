"""Version 2 of the exported scores: version 1 and how sure the software was.

Beside a decision stand, new against :mod:`.v1`, the set of scores the software
could not tell apart, what the network scored, whether a reconstructed stain was
used, and whether the run was forced on tissue the model does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

from napari_her2.core.records import Decision, GateVerdict, Suggestion
from napari_her2.core.score import scores_to_text
from napari_her2.export.schema import v1
from napari_her2.review.record import ReviewRecord

SCHEMA: Final = "napari-her2/scores/2"

_NEW: Final = ("ai_prediction_set", "ai_arms", "ai_gate", "ai_forced")
_PLACE: Final = v1.COLUMNS.index("ai_probabilities") + 1
COLUMNS: Final = (*v1.COLUMNS[:_PLACE], *_NEW, *v1.COLUMNS[_PLACE:])
"""Columns of the flat form, in order: those of version 1 and four more.

``ai_prediction_set`` reads "1+ or 2+" and is empty where the bundle is not
calibrated; ``ai_arms`` lists what the network scored with its share of the area;
``ai_gate`` is ``accepted`` or ``rejected`` with the reason, empty where nothing was
reconstructed; ``ai_forced`` is ``yes`` or ``no``.
"""


def row(record: ReviewRecord) -> dict[str, str]:
    """Return the flat form of a record, text in every column."""
    cells = v1.row(record)
    decision = record.decision
    seen = None if decision is None else decision.suggestion
    return {name: cells.get(name, "") for name in COLUMNS} | {
        "schema_version": SCHEMA,
        **({} if seen is None else _cells(seen)),
    }


def document(records: Iterable[ReviewRecord], journal_head: str) -> dict[str, Any]:
    """Return all records as one tree of plain JSON values; see :func:`v1.document`."""
    chosen = tuple(records)
    tree = v1.document(chosen, journal_head) | {"schema": SCHEMA}
    for record, branch in zip(chosen, tree["records"], strict=True):
        for decision, told in decision_trees(record, branch):
            if decision.suggestion is not None:
                told["suggestion"] |= suggestion_tree(decision.suggestion)
    return tree


def decision_trees(
    record: ReviewRecord, branch: dict[str, Any]
) -> Iterator[tuple[Decision, dict[str, Any]]]:
    """Yield every decision of a record with its place in the tree."""
    trees = list(branch["superseded_decisions"])
    if branch["decision"] is not None:
        trees.append(branch["decision"])
    return zip(record.decisions, trees, strict=True)


def suggestion_tree(suggestion: Suggestion) -> dict[str, Any]:
    """Return how sure the software was as plain JSON values."""
    return {
        "prediction_set": [str(score) for score in suggestion.prediction_set],
        "prediction_set_text": scores_to_text(suggestion.prediction_set),
        "arms": {str(arm): float(share) for arm, share in suggestion.arms},
        "gate": None if suggestion.gate is None else asdict(suggestion.gate),
        "forced": suggestion.forced,
    }


def _cells(suggestion: Suggestion) -> dict[str, str]:
    return {
        "ai_prediction_set": scores_to_text(suggestion.prediction_set),
        "ai_arms": "; ".join(f"{arm}: {share:.3f}" for arm, share in suggestion.arms),
        "ai_gate": _gate_text(suggestion.gate),
        "ai_forced": "yes" if suggestion.forced else "no",
    }


def _gate_text(gate: GateVerdict | None) -> str:
    if gate is None:
        return ""
    return f"{'accepted' if gate.accepted else 'rejected'}: {gate.reason}"
