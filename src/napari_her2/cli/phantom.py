"""``phantom``: make virtual slide pairs with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_her2.cli.progress import bar
from napari_her2.core.score import Score


def phantom(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first pair.")] = 1,
    count: Annotated[
        int, typer.Option(min=1, help="Pairs to make; more than 1: a folder each.")
    ] = 1,
    stratum: Annotated[
        Score | None, typer.Option(help="True score; drawn when not given.")
    ] = None,
    morphology_signal: Annotated[
        float, typer.Option(min=0, max=1, help="How strongly H&E shows HER2.")
    ] = 0.5,
    width_um: Annotated[float, typer.Option(help="Width in µm.")] = 2200.0,
    height_um: Annotated[float, typer.Option(help="Height in µm.")] = 1800.0,
    mpp: Annotated[float, typer.Option(help="µm per pixel.")] = 0.5,
    same_section: Annotated[
        bool, typer.Option("--same-section", help="One section, stained twice.")
    ] = False,
) -> None:
    """Write virtual H&E and HER2 IHC slides, their truth and a case manifest."""
    from napari_her2.phantom.recipe import draw_recipe
    from napari_her2.phantom.writing import write_pair

    written = []
    with bar() as shown:
        for number in shown.track(range(seed, seed + count), description="pairs"):
            recipe = draw_recipe(
                number,
                stratum=stratum,
                morphology_signal=morphology_signal,
                width_um=width_um,
                height_um=height_um,
                mpp=mpp,
                section="same" if same_section else "serial",
            )
            folder = out if count == 1 else out / f"pair-{number:05d}"
            written.append(write_pair(recipe, folder))
    for manifest in written:
        typer.echo(manifest)
