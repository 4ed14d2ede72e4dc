"""``export``: what was decided on a case, from the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.export.scores import export_scores
from napari_her2.review.events import RegionKey
from napari_her2.review.journal import Journal
from napari_her2.review.record import ReviewRecord, fold
from napari_her2.slides.case import read_case


def export(
    case: Annotated[Path, typer.Argument(help="Case manifest.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.csv and scores.json.")],
    journal: Annotated[
        Path | None, typer.Option(help="Journal; the reader's own by default.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the paths written as JSON.")
    ] = False,
) -> None:
    """Write the decisions of named readers; undecided regions stay pending."""
    case_id = read_case(case).case_id
    with Journal(journal) as opened:
        records = fold(opened.events(case_id)) or (ReviewRecord(RegionKey(case_id)),)
        written = export_scores(records, out, opened.head)
    if as_json:
        typer.echo(json.dumps({"files": [str(path) for path in written]}))
    else:
        for path in written:
            typer.echo(path)
