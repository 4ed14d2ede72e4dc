"""``screen``: which images a bundle would refuse to assess, and why."""

from __future__ import annotations

import csv
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.core.score import Stain


class StainChoice(StrEnum):
    """What the images are given as."""

    HE = "he"
    IHC = "ihc"
    AUTO = "auto"


def screen(
    images: Annotated[list[Path], typer.Argument(help="Slides or images.")],
    out: Annotated[
        Path, typer.Option("--csv", help="Table: image,abstained,reason,distance.")
    ],
    bundle: Annotated[Path | None, typer.Option(help="Default: the demo.")] = None,
    mpp: Annotated[
        float | None, typer.Option(help="µm per pixel, where the files do not say.")
    ] = None,
    stain: Annotated[
        StainChoice, typer.Option(help="Given as; auto: told by the colours.")
    ] = StainChoice.AUTO,
) -> None:
    """Say which images are unfamiliar or of too low quality; 1 is the threshold."""
    from napari_her2.inference.screening import scale_note, screen_file
    from napari_her2.models.bundle import load_bundle, shipped_bundle
    from napari_her2.models.statistics import read_statistics

    opened = load_bundle(bundle or shipped_bundle())
    _, familiarity = read_statistics(opened)
    if familiarity is None:
        typer.echo(
            f"The bundle {opened.card.name} cannot tell unfamiliar tissue; only the "
            "quality is looked at.",
            err=True,
        )
    declared = None if stain is StainChoice.AUTO else Stain(stain.value)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("image", "abstained", "reason", "distance"))
        for number, path in enumerate(images, start=1):
            if note := scale_note(path, mpp, opened.card.mpp):
                typer.echo(f"Image {number}: {note}", err=True)
            found = screen_file(path, declared, familiarity, opened.card.mpp, mpp)
            distance = "" if math.isnan(found.distance) else f"{found.distance:.4f}"
            abstained = "true" if found.abstained else "false"
            table.writerow((str(path), abstained, found.reason, distance))
            stream.flush()
    typer.echo(out)
