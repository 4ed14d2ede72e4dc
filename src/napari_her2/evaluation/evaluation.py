"""One evaluation from a bundle to ``results.json``, tables and figures.

Every stage writes its part as soon as it is done; slides and reconstructions stay
in the cache. A run that was stopped, or one that asks for another stage, goes on
from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari_her2
from napari_her2.core.errors import StorageError
from napari_her2.evaluation.figures import draw_figures
from napari_her2.evaluation.progress import EvaluationProgress, Stage
from napari_her2.evaluation.report import publish, report
from napari_her2.evaluation.result_tables import result_tables
from napari_her2.evaluation.settings import Settings
from napari_her2.evaluation.stages import STAGES
from napari_her2.evaluation.tables import write_tables
from napari_her2.evaluation.team import Team
from napari_her2.evaluation.workspace import Workspace, write_json

SCHEMA = "napari-her2/evaluation/2"
RESULTS = "results.json"
REPORT = "results.md"


def evaluate(settings: Settings) -> Iterator[EvaluationProgress]:
    """Run the stages asked for and write ``settings.out``.

    Yields
    ------
    EvaluationProgress
        After every slide and region.

    Raises
    ------
    BundleError
        If the bundle or the weights to compare with do not fit.
    StorageError
        If the folder cannot be written.
    """
    space = Workspace.open(settings)
    out = settings.out
    _make_folders(out)
    yield from space.open_regions()
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "software": f"napari-her2 {napari_her2.__version__}",
        "bundle": space.facts(),
        "settings": settings.to_json(),
        "comparisons": [other.name for other in space.arms.comparisons],
    }
    with Team(space) as team:
        for stage in Stage:
            if stage not in settings.stages:
                continue
            part = yield from STAGES[stage](space, team)
            if part is not None:
                path = out / "parts" / f"{stage.value}.json"
                write_json(path, {**_stamp(head), **part})
                write_results(out, head)
    write_results(out, head)


def write_results(out: Path, head: dict[str, Any]) -> dict[str, Any]:
    """Put the parts together: ``results.json``, tables, figures and report.

    Parts of another bundle, backend or schema that lie in the folder are left out.
    """
    results = dict(head)
    for stage in Stage:
        path = out / "parts" / f"{stage.value}.json"
        if path.is_file():
            part = json.loads(path.read_text(encoding="utf-8"))
            if _stamp(head).items() <= part.items():
                results[stage.value] = part
    write_json(out / RESULTS, results)
    write_tables(result_tables(results), out / "tables")
    draw_figures(results, out / "figures")
    (out / REPORT).write_text(report(results, pictures="figures"), encoding="utf-8")
    return results


def publish_page(out: Path, page: Path) -> list[Path]:
    """Write the page of finished results elsewhere, with its pictures as JPEG.

    The pictures lie in ``pictures/evaluation`` beside the page.
    """
    results = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    pictures = page.parent / "pictures" / "evaluation"
    return publish(results, out / "figures", page, pictures)


def _stamp(head: dict[str, Any]) -> dict[str, str]:
    """Return what parts must share to stand beside each other."""
    bundle = head["bundle"]
    return {
        "schema": head["schema"],
        "bundle_sha256": bundle["sha256"],
        "backend": bundle["backend"],
    }


def _make_folders(out: Path) -> None:
    try:
        for name in ("parts", "arrays", "tables", "figures"):
            (out / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            out, f"the folder cannot be written ({error}).", "Choose another folder."
        ) from error
