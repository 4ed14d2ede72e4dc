"""``score``: HER2 from the cells of real IHC images, one row each."""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_her2.cli.progress import bar
from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline_limits import LEAST_CELLS
from napari_her2.core.proportion import wilson
from napari_her2.core.records import ControlMark
from napari_her2.core.score import NotAssessable, Score

if TYPE_CHECKING:
    from napari_her2.cells.detector import Detector
    from napari_her2.cells.score_file import ScoreAsked, ScoreFound
    from napari_her2.core.guideline import GuidelineReading

COLUMNS = (
    "image",
    "score",
    "status",
    "reason",
    "n_cells",
    "pct_complete_intense",
    "pct_complete_weak_moderate",
    "pct_incomplete_moderate_intense",
    "pct_faint_incomplete",
    "pct_negative",
    "h_score",
    "ci_low",
    "ci_high",
    "mean_membrane_od",
    "tumour",
    "heterogeneity",
    "dab_factor",
    "seconds",
)
"""``ci_low`` and ``ci_high`` are the 95 % Wilson interval, in percent, of the share
that decided the score: that of the stained cells for a 0, 0+ or 1+. ``dab_factor`` is
what the thresholds of density were multiplied by, 1 without control tissue."""


def score(
    images: Annotated[list[Path], typer.Argument(help="HER2 IHC slides or images.")],
    out: Annotated[Path, typer.Option("--csv", help="Table, one row per image.")],
    mpp: Annotated[
        float | None,
        typer.Option(help="µm per pixel, where the files do not say or say it wrong."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="Invasive tumour: Y0,X0,Y1,X1 in level-0 pixels, a GeoJSON file of "
            "outlines, or a folder with a file <image stem>.geojson for each image."
        ),
    ] = None,
    control_3: Annotated[
        str | None,
        typer.Option(help="3+ control on the slide, Y0,X0,Y1,X1: sets thresholds."),
    ] = None,
    control_0: Annotated[
        str | None,
        typer.Option(help="0 control on the slide, Y0,X0,Y1,X1: must be unstained."),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(help="TorchScript file (InstanSeg) that finds the nuclei."),
    ] = None,
    least_cells: Annotated[
        int, typer.Option(min=1, help="Fewer tumour cells are not assessable.")
    ] = LEAST_CELLS,
    force: Annotated[
        bool,
        typer.Option("--force", help="Go on where stain or quality forbid a score."),
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="Images read at the same time.")
    ] = min(2, os.cpu_count() or 1),
) -> None:
    """Suggest HER2 scores from the membranes of real IHC images, by the guideline.

    Research use only: a suggestion, a pathologist decides. The tumour is proposed
    where no region is given.
    """
    from napari_her2.cells.score_file import ScoreAsked

    box, outlines = _where(region, images)
    controls = _controls(images, control_3, control_0)
    asked = [
        ScoreAsked(path, mpp, box, force, least_cells, drawn, controls)
        for path, drawn in zip(images, outlines, strict=True)
    ]
    _detector(detector)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[Path, list[str]] = {}
    with bar() as shown:
        task = shown.add_task("images", total=len(asked))
        for found in _score_all(asked, processes, detector):
            rows[found.asked.path] = row_of(found)
            shown.advance(task)
    with out.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows[path] for path in images)
    typer.echo(out)


def row_of(found: ScoreFound) -> list[str]:
    """Write what was found as a row of the table."""
    is_scored = not isinstance(found.call, NotAssessable)
    head = [
        str(found.asked.path),
        str(found.call) if is_scored else "NA",
        "scored" if is_scored else "not assessable",
        found.reason,
    ]
    tumour = "region" if found.asked.is_drawn else "proposed"
    if found.cells is None:
        return [*head, "0", *[""] * 9, tumour, "", "", f"{found.seconds:.2f}"]
    reading = found.cells.reading
    negative, faint, incomplete, weak, intense = reading.shares
    low, high = _interval(reading)
    return [
        *head,
        str(reading.n_cells),
        *(_number(100 * s.value) for s in (intense, weak, incomplete, faint, negative)),
        _number(math.nan if reading.h_score is None else reading.h_score),
        _number(100 * low),
        _number(100 * high),
        _number(found.cells.mean_membrane_od, 3),
        tumour,
        found.cells.heterogeneity.kind,
        "" if found.calibration is None else f"{found.calibration.factor:.3f}",
        f"{found.seconds:.2f}",
    ]


def _interval(reading: GuidelineReading) -> tuple[float, float]:
    """Return the interval of the share that decided, of the stained cells for a 0."""
    from napari_her2.core.guideline_lines import LINES

    line = next((line for line in LINES if line.rule == reading.rule), LINES[-1])
    share = sum(reading.shares[pattern].value for pattern in line.patterns)
    found = wilson(round(share * reading.n_cells), reading.n_cells)
    return found.low, found.high


def _number(value: float, digits: int = 2) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _where(
    region: str | None, images: Sequence[Path]
) -> tuple[BoxPx | None, list[Path | None]]:
    """Return the box that was asked for, or the file of outlines of each image."""
    none: list[Path | None] = [None] * len(images)
    if region is None:
        return None, none
    path = Path(region)
    if path.is_dir():
        return None, [path / f"{image.stem}.geojson" for image in images]
    if path.is_file():
        if len(images) > 1:
            raise UsageError(
                "One file of regions was given for several images.",
                "Give a folder with a file <image stem>.geojson for each.",
            )
        return None, [path]
    if path.suffix.lower() in (".geojson", ".json"):
        raise UsageError("There is no such file of regions.", "Check the path.")
    return _box(region), none


def _controls(
    images: Sequence[Path], three: str | None, zero: str | None
) -> tuple[ControlMark, ...]:
    given = [(Score.THREE, three), (Score.ZERO, zero)]
    marks = [ControlMark(score, _box(text)) for score, text in given if text]
    if marks and len(images) > 1:
        raise UsageError(
            "Control tissue was given for several images.",
            "Score each slide by itself: controls lie elsewhere on each.",
        )
    return tuple(marks)


def _box(text: str) -> BoxPx:
    try:
        y0, x0, y1, x1 = (int(part) for part in text.split(","))
        box = BoxPx(y0, x0, y1, x1)
    except ValueError:
        raise UsageError(
            f"{text} is no region.", "Give four whole numbers Y0,X0,Y1,X1, or a file."
        ) from None
    if box.is_empty:
        raise UsageError(f"The region {text} is empty.", "Give Y0 < Y1 and X0 < X1.")
    return box


def _score_all(
    asked: Sequence[ScoreAsked], processes: int, detector: Path | None
) -> Iterator[ScoreFound]:
    """Score images in processes of their own; one that dies costs its image alone."""
    if processes == 1 or len(asked) == 1:
        for one in asked:
            yield _guarded(one, detector)
        return
    waiting = list(asked)
    context = multiprocessing.get_context("spawn")
    while waiting:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            jobs = {pool.submit(_guarded, one, detector): one for one in waiting}
            try:
                for job in as_completed(jobs):
                    found = job.result()
                    waiting.remove(jobs[job])
                    yield found
            except BrokenProcessPool:
                # the one that broke it is among those begun first
                yield _lost(waiting.pop(0))


def _detector(path: Path | None) -> Detector | None:
    """Load the detector that was asked for, once in each process."""
    if path is None:
        return None
    from napari_her2.inference.torchscript_detector import load_detector

    return load_detector(path)


def _guarded(asked: ScoreAsked, detector: Path | None) -> ScoreFound:
    """Score one image; an error of ours is a row, not the end of the run."""
    from napari_her2.cells.score_file import ScoreFound, score_file

    try:
        return score_file(asked, _detector(detector))
    except Exception as error:  # noqa: BLE001 - a thousand images follow
        reason = f"unexpected {type(error).__name__}; please report it"
        return ScoreFound(asked, NotAssessable(reason), reason, None, 0.0)


def _lost(asked: ScoreAsked) -> ScoreFound:
    from napari_her2.cells.score_file import ScoreFound

    reason = "the process that read it ended"
    return ScoreFound(asked, NotAssessable(reason), reason, None, 0.0)
