"""The export a reader asks for: decided scores as CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_her2.core.errors import UsageError
from napari_her2.export.atomic import replace_files
from napari_her2.export.csv import to_csv
from napari_her2.export.json import to_json
from napari_her2.review.record import ReviewRecord


def export_scores(
    records: Iterable[ReviewRecord], folder: Path | str, journal_head: str
) -> tuple[Path, ...]:
    """Write ``scores.csv`` and ``scores.json`` into a folder and return their paths.

    Only decisions of named readers are scores; other regions are listed as
    pending or deferred. Earlier exports in the folder are replaced.

    Parameters
    ----------
    records
        The regions to export.
    folder
        Made when it does not exist.
    journal_head
        Hash of the journal's last line when the records were read.

    Raises
    ------
    UsageError
        If there is no record.
    StorageError
        If a file cannot be written; earlier exports stay.
    """
    chosen = tuple(records)
    if not chosen:
        raise UsageError("There is nothing to export.", "Open a case first.")
    contents = {
        Path(folder) / "scores.csv": to_csv(chosen),
        Path(folder) / "scores.json": to_json(chosen, journal_head),
    }
    replace_files(contents)
    return tuple(contents)
