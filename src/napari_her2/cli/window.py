"""``demo`` and ``open``: start napari on a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_her2.app.resources import sample_case_path
from napari_her2.slides.case import read_case


def demo() -> None:
    """Open the slides of the sample case with the demo bundle, in a window.

    They come as from a scanner: how they lie on each other is to be found.
    """
    case = read_case(sample_case_path())
    open_window([path for path in (case.he, case.ihc) if path is not None])


def open_window(
    paths: Annotated[
        list[Path],
        typer.Argument(help="A case manifest or its folder, or H&E [and IHC] slide."),
    ],
) -> None:
    """Open a case, or one or two slides (H&E first), in a window."""
    # imported late: nothing else on the command line needs napari and Qt
    from napari_her2.plugin import open_window as open_in_napari

    open_in_napari(paths)
