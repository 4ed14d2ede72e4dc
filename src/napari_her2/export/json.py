"""Scores as JSON with a versioned schema."""

from __future__ import annotations

import json
from collections.abc import Iterable

from napari_her2.export.schema import v3
from napari_her2.review.record import ReviewRecord


def to_json(records: Iterable[ReviewRecord], journal_head: str) -> bytes:
    """Return the file content; the same records give the same bytes."""
    tree = v3.document(records, journal_head)
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=2)
    return f"{text}\n".encode()
