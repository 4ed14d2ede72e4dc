"""``run``: a bundle on a region or the whole slide, without a window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.cli.pairing import refuse_apart, settled
from napari_her2.cli.progress import follow_run
from napari_her2.cli.quality import refuse_low_quality
from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import call_to_text, scores_to_text
from napari_her2.inference.backend import AUTO, BACKENDS
from napari_her2.slides.case import Case, case_of_folder, read_case
from napari_her2.slides.pair import open_pair


def run(
    case: Annotated[Path, typer.Argument(help="Case manifest or its folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    region: Annotated[
        str, typer.Option(metavar="Y0,X0,Y1,X1", help="Level-0 pixels.")
    ] = "",
    whole: Annotated[
        bool, typer.Option("--whole", help="The whole slide; the default.")
    ] = False,
    transform: Annotated[
        Path | None, typer.Option(help="Registration that register wrote.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Default: the demo.")] = None,
    device: Annotated[str, typer.Option(help="A torch device, such as cuda.")] = "cpu",
    backend: Annotated[
        str, typer.Option(help=f"auto, or one of {', '.join(BACKENDS)}.")
    ] = AUTO,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Go on where tissue, stain or quality are refused."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print run.json to standard output.")
    ] = False,
) -> None:
    """Write synthetic_ihc.ome.tif (marked synthetic), maps.zarr and run.json.

    Slides that nobody registered are registered first; slides that do not lie on
    each other are refused. Tissue or stain unlike all the model knows is refused,
    and a slide of too low quality; with --force it is run, and every output says so.
    """
    if region and whole:
        raise UsageError("--region and --whole exclude each other.", "Give one.")
    # imported late: --help needs neither zarr nor torch
    from napari_her2.inference.analysis import Analysis
    from napari_her2.inference.outputs import write_outputs
    from napari_her2.models.bundle import load_bundle, shipped_bundle

    opened_case = find_case(case)
    opened = load_bundle(bundle or shipped_bundle())
    with open_pair(opened_case) as opened_pair:
        pair = opened_pair
        if len(opened.card.inputs) == 2:
            pair = settled(opened_pair, transform)
        slide_px = BoxPx.of_shape(pair.reference.shape)
        area = _region(region, slide_px)
        if len(opened.card.inputs) == 2:
            refuse_apart(pair, area)
        analysis = Analysis(pair, opened, device=device, backend=backend, forced=force)
        analysis.refuse_unfamiliar()
        refuse_low_quality(opened_pair, forced=force)
        (suggestion,) = follow_run(analysis.run([area]))
        paths = write_outputs(
            out,
            analysis.store,
            pair,
            opened,
            area,
            suggestion,
            case_id=opened_case.case_id,
        )
    if as_json:
        record = next(path for path in paths if path.suffix == ".json")
        typer.echo(record.read_text())
    else:
        said = call_to_text(suggestion.call)
        caution = f" ({suggestion.caution})" if suggestion.caution else ""
        typer.echo(f"suggestion: {said}{caution}, from {suggestion.n_tiles} tiles")
        if suggestion.prediction_set:
            typer.echo(f"prediction set: {scores_to_text(suggestion.prediction_set)}")
        typer.echo(json.dumps([str(path) for path in paths]))


def find_case(path: Path) -> Case:
    """Read a case from its manifest or from the folder that holds it."""
    return case_of_folder(path) if path.is_dir() else read_case(path)


def _region(text: str, slide_px: BoxPx) -> Region:
    if not text:
        return Region.from_box("slide", "Whole slide", slide_px)
    try:
        box = BoxPx.parse(text)
    except ValueError as error:
        raise UsageError(f"{error}.", "Give level-0 pixels.") from None
    inside = box.intersect(slide_px)
    if inside.is_empty:
        raise UsageError(
            f"The region {text} lies outside the slide {slide_px.shape}.",
            "Give level-0 pixels of the H&E slide.",
        )
    return Region.from_box("region", "Region", inside)
