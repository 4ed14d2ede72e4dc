"""Version 1 of the exported scores: one flat row or one tree per region.

A final score appears only where a named reader decided. Anything else is
``pending`` or ``deferred`` with an empty score, and carries no suggestion
either: what the software says stands beside a decision, never in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from napari_her2 import __version__
from napari_her2.core.records import RESEARCH_USE, Decision, Suggestion
from napari_her2.core.score import Call, Score, call_to_text
from napari_her2.review.events import Deferred
from napari_her2.review.record import ReviewRecord, ReviewState

SCHEMA: Final = "napari-her2/scores/1"

COLUMNS: Final = (
    "schema_version",
    "case_id",
    "region_id",
    "region_name",
    "status",
    "final_score",
    "final_meaning",
    "decision_kind",
    "reason",
    "reader",
    "decided_utc",
    "decision_version",
    "first_read",
    "ai_score",
    "ai_evidence",
    "ai_caution",
    "ai_probabilities",
    "bundle",
    "bundle_sha256",
    "he_fingerprint",
    "ihc_fingerprint",
    "software_version",
    "notice",
)
"""Columns of the flat form, in order.

``status`` is ``decided``, ``deferred`` or ``pending``; ``final_score`` is one of
0, 0+, 1+, 2+, 3+, or ``not assessable: <reason>``, and is empty unless decided;
``final_meaning`` says it in words, so that a spreadsheet that takes a bare 0 for
a number still tells null from ultralow; ``decision_version`` counts decisions
of the region, superseded ones included; ``first_read`` and the ``ai_`` columns
are what the reader said and saw before deciding.
"""


def status_of(record: ReviewRecord) -> str:
    """Return ``decided``, ``deferred`` or ``pending``."""
    if record.state in (ReviewState.DECIDED, ReviewState.DEFERRED):
        return str(record.state)
    return str(ReviewState.PENDING)


def row(record: ReviewRecord) -> dict[str, str]:
    """Return the flat form of a record, text in every column."""
    cells = dict.fromkeys(COLUMNS, "")
    slides = dict(record.slides)
    cells |= {
        "schema_version": SCHEMA,
        "case_id": record.case_id,
        "region_id": record.region_id,
        "region_name": record.region.name if record.region else "",
        "status": status_of(record),
        "he_fingerprint": slides.get("he", ""),
        "ihc_fingerprint": slides.get("ihc", ""),
        "software_version": __version__,
        "notice": RESEARCH_USE,
    }
    if record.deferral is not None:
        cells["reason"] = record.deferral.note
        cells["reader"] = record.deferral.reader.name
    if record.decision is not None:
        cells |= _decision_cells(record.decision)
        cells["decision_version"] = str(len(record.decisions))
    return cells


def document(records: Iterable[ReviewRecord], journal_head: str) -> dict[str, Any]:
    """Return all records as one tree of plain JSON values.

    ``journal_head`` is the hash of the journal's last line: kept elsewhere, it
    shows later whether the journal was rewritten.
    """
    return {
        "schema": SCHEMA,
        "notice": RESEARCH_USE,
        "software_version": __version__,
        "journal_head": journal_head,
        "records": [_tree(record) for record in records],
    }


def _decision_cells(decision: Decision) -> dict[str, str]:
    cells = {
        "final_score": call_to_text(decision.call),
        "final_meaning": _meaning(decision.call),
        "decision_kind": str(decision.kind),
        "reason": decision.reason,
        "reader": decision.reader.name,
        "decided_utc": _utc(decision.utc),
    }
    first_read, seen = decision.first_read, decision.suggestion
    if first_read is not None:
        cells["first_read"] = call_to_text(first_read)
    if seen is not None:
        cells |= {
            "ai_score": call_to_text(seen.call),
            "ai_evidence": str(seen.evidence),
            "ai_caution": seen.caution,
            "ai_probabilities": "; ".join(
                f"{score}: {share:.3f}" for score, share in seen.probabilities
            ),
            "bundle": seen.provenance.bundle,
            "bundle_sha256": seen.provenance.bundle_sha256,
        }
    return cells


def _tree(record: ReviewRecord) -> dict[str, Any]:
    decision, deferral = record.decision, record.deferral
    superseded = record.decisions if decision is None else record.decisions[:-1]
    return {
        "case_id": record.case_id,
        "region": _region_tree(record),
        "slides": dict(record.slides),
        "status": status_of(record),
        "decision": None if decision is None else _decision_tree(decision),
        "deferral": None if deferral is None else _deferral_tree(deferral),
        "superseded_decisions": [_decision_tree(earlier) for earlier in superseded],
    }


def _region_tree(record: ReviewRecord) -> dict[str, Any]:
    region = record.region
    if region is None:
        return {"id": record.region_id, "name": "", "vertices_yx_px": None}
    outline = [list(point) for point in region.vertices_yx]
    return {"id": record.region_id, "name": region.name, "vertices_yx_px": outline}


def _deferral_tree(deferral: Deferred) -> dict[str, Any]:
    return {
        "reason": deferral.note,
        "reader": deferral.reader.name,
        "utc": _utc(deferral.utc),
    }


def _decision_tree(decision: Decision) -> dict[str, Any]:
    first_read, seen = decision.first_read, decision.suggestion
    return {
        "score": call_to_text(decision.call),
        "meaning": _meaning(decision.call),
        "kind": str(decision.kind),
        "reason": decision.reason,
        "reader": decision.reader.name,
        "utc": _utc(decision.utc),
        "first_read": None if first_read is None else call_to_text(first_read),
        "suggestion": None if seen is None else suggestion_tree(seen),
    }


def suggestion_tree(suggestion: Suggestion) -> dict[str, Any]:
    """Return what software suggested as plain JSON values."""
    provenance = suggestion.provenance
    return {
        "score": call_to_text(suggestion.call),
        "probabilities": {str(s): float(p) for s, p in suggestion.probabilities},
        "evidence": str(suggestion.evidence),
        "caution": suggestion.caution,
        "box_px": list(suggestion.box_px.as_tuple()),
        "n_tiles": suggestion.n_tiles,
        "bundle": provenance.bundle,
        "bundle_sha256": provenance.bundle_sha256,
        "slides": dict(provenance.slides),
        "software": provenance.software,
        "parameters": dict(provenance.parameters),
        "direction": provenance.direction,
    }


def _meaning(call: Call) -> str:
    return call.meaning if isinstance(call, Score) else "not assessable"


def _utc(utc: datetime) -> str:
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")
