"""``cells``: the cells of one image as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_her2.cli.progress import bar
from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain


def cells(
    image: Annotated[Path, typer.Argument(help="Slide or image, H&E or IHC.")],
    out: Annotated[
        Path,
        typer.Option(
            "--csv",
            "--parquet",
            help="Table to write; .parquet has outlines, and how cells were read.",
        ),
    ],
    stain: Annotated[Stain, typer.Option(help="What the image shows.")] = Stain.IHC,
    mpp: Annotated[
        float | None, typer.Option(help="µm per pixel, where the file does not say.")
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(help="TorchScript file (InstanSeg) that finds the nuclei."),
    ] = None,
) -> None:
    """Find the cells of an image: places, nuclei, membranes, tumour or not."""
    from napari_her2.cells.score_file import cells_of
    from napari_her2.cells.table import write_cells
    from napari_her2.slides.slide import open_slide

    own = None
    if detector is not None:
        from napari_her2.inference.torchscript_detector import load_detector

        own = load_detector(detector)
    with open_slide(image) as slide:
        scaled = slide if mpp is None else slide.with_mpp(mpp)
        if scaled.mpp is None:
            raise UsageError(
                "The scale of the image is unknown.", "Give the µm per pixel (--mpp)."
            )
        with bar() as shown:
            task = shown.add_task("percent", total=100)
            found = cells_of(
                scaled,
                stain=stain,
                tell=lambda done: shown.update(task, completed=round(100 * done)),
                detector=own,
            )
    write_cells(found, out)
    typer.echo(f"{found.num_rows} cells: {out}")
