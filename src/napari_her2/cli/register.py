"""``register`` and ``warp-points``: how an IHC slide lies on its H&E slide."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.core.errors import StorageError, UsageError

Scale = Annotated[
    float | None, typer.Option(help="µm per pixel, where the file does not say.")
]


def register(
    he: Annotated[Path, typer.Argument(help="H&E slide: points are on it.")],
    ihc: Annotated[Path, typer.Argument(help="IHC slide: points lead to it.")],
    out: Annotated[Path, typer.Option(help="Transform to write, JSON.")],
    mpp_he: Scale = None,
    mpp_ihc: Scale = None,
) -> None:
    """Register an IHC slide on an H&E slide and say how well it lies."""
    from napari_her2.cli.progress import follow_registration
    from napari_her2.slides.registration.files import write_registration
    from napari_her2.slides.slide import open_slide

    with open_slide(he) as he_slide, open_slide(ihc) as ihc_slide:
        if mpp_he is not None:
            he_slide = he_slide.with_mpp(mpp_he)
        if mpp_ihc is not None:
            ihc_slide = ihc_slide.with_mpp(mpp_ihc)
        write_registration(follow_registration(he_slide, ihc_slide), out)
    typer.echo(out)


def warp_points(
    transform: Annotated[Path, typer.Argument(help="Written by register.")],
    points: Annotated[Path, typer.Argument(help="CSV with columns x,y in pixels.")],
    out: Annotated[Path, typer.Option(help="CSV to write, the same columns.")],
) -> None:
    """Carry points from level-0 pixels of the H&E slide to those of the IHC slide."""
    from napari_her2.slides.registration.files import read_registration

    file = read_registration(transform)
    header, rows, places = _read_points(points)
    y_at, x_at = header.index("y"), header.index("x")
    warped = file.warp_px(places).tolist()
    try:
        with out.open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(header)
            for row, (y, x) in zip(rows, warped, strict=True):
                row[y_at], row[x_at] = f"{y:.4f}", f"{x:.4f}"
                table.writerow(row)
    except OSError as error:
        raise StorageError(
            out,
            f"the points cannot be written ({error.strerror or error}).",
            "Choose a folder that exists and has space.",
        ) from error
    typer.echo(out)


def _read_points(
    path: Path,
) -> tuple[list[str], list[list[str]], list[tuple[float, float]]]:
    """Return the header, the rows as text, and their places (y, x)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(
            "The file cannot be read as a table of points.",
            "Give a CSV file with the columns x and y.",
        ) from error
    header = [name.strip() for name in header]
    if not {"x", "y"} <= set(header):
        raise UsageError(
            f"The table has the columns {', '.join(header)}.",
            "It needs x and y, in level-0 pixels.",
        )
    places = []
    for number, row in enumerate(rows, 2):
        try:
            place = tuple(float(row[header.index(name)]) for name in ("y", "x"))
        except (IndexError, ValueError) as error:
            raise UsageError(
                f"Line {number} of the table holds no point.",
                "Give two numbers, x and y.",
            ) from error
        places.append((place[0], place[1]))
    return header, rows, places
