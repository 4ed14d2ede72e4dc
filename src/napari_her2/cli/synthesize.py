"""``synthesize``: a synthetic IHC of one H&E image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.cli.progress import follow_run
from napari_her2.cli.quality import refuse_low_quality
from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.inference.backend import AUTO, BACKENDS
from napari_her2.slides.case import case_of_files
from napari_her2.slides.pair import open_pair

_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")


def synthesize(
    he_image: Annotated[Path, typer.Argument(help="H&E slide or image.")],
    out: Annotated[Path, typer.Option(help="OME-TIFF to write, marked synthetic.")],
    mpp: Annotated[
        float | None, typer.Option(help="µm per pixel, where the file does not say.")
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
) -> None:
    """Write the synthetic IHC of an H&E image, at the bundle's µm per pixel.

    Tissue or stain unlike all the model knows is refused, and an image of too low
    quality; with --force it is run, and the picture says so.
    """
    if not out.name.lower().endswith(_SUFFIXES):
        raise UsageError(
            f"{out.name} is no OME-TIFF name; other formats cannot carry the mark "
            "that the picture is synthetic.",
            "Let it end in .ome.tif.",
        )
    from napari_her2.inference.analysis import Analysis
    from napari_her2.inference.outputs import write_synthetic
    from napari_her2.models.bundle import load_bundle, shipped_bundle

    opened = load_bundle(bundle or shipped_bundle())
    case = replace(case_of_files(he_image, None), he_mpp=mpp)
    with open_pair(case) as pair:
        box = BoxPx.of_shape(pair.reference.shape)
        analysis = Analysis(pair, opened, device=device, backend=backend, forced=force)
        analysis.refuse_unfamiliar()
        refuse_low_quality(pair, forced=force)
        follow_run(analysis.run([Region.from_box("slide", "Whole slide", box)]))
        out.parent.mkdir(parents=True, exist_ok=True)
        write_synthetic(out, analysis.store, opened, box)
    typer.echo(out)
