"""``bundle parity``: how far each backend agrees with the reference on tiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError
from napari_her2.models.bundle import Bundle


def parity(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle folder.")],
    tiles: Annotated[
        Path,
        typer.Option(
            help="Folder with he.npy and ihc.npy, uint8 (n, tile, tile, 3): tiles with "
            "their halo that no part was trained on, as a training run keeps them."
        ),
    ],
    most: Annotated[int, typer.Option(min=1, help="Pairs of tiles to run.")] = 50,
    backend: Annotated[
        list[str] | None, typer.Option(help="Default: all that can run here.")
    ] = None,
    device: Annotated[str, typer.Option(help="A torch device, such as cuda.")] = "cpu",
    write: Annotated[
        bool, typer.Option("--write", help="Put what is measured into the card.")
    ] = False,
) -> None:
    """Compare backends with torch-fp32: images, scores and time, as JSON."""
    from napari_her2.inference.parity import each_way, measure_parity, write_parity
    from napari_her2.models.bundle import load_bundle

    opened = load_bundle(folder)
    he, ihc = (_stack(tiles / f"{stain}.npy", opened) for stain in ("he", "ihc"))
    if len(he) != len(ihc):
        raise UsageError(
            f"{tiles.name} holds {len(he)} H&E and {len(ihc)} IHC tiles.",
            "Give pairs of tiles.",
        )
    chosen = np.unique(np.linspace(0, len(he) - 1, min(most, len(he))).astype(int))
    pairs = ((np.array(he[k]), np.array(ihc[k])) for k in chosen)
    measured = measure_parity(opened, each_way(pairs), backend or None, device)
    if write:
        write_parity(folder, measured)
    typer.echo(json.dumps(measured, indent=2))


def _stack(path: Path, bundle: Bundle) -> NDArray[np.uint8]:
    """Open tiles on disk and check that they fit the bundle."""
    try:
        stack: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read as an array ({error}).", "Name another folder."
        ) from error
    side = bundle.card.core_px + 2 * bundle.card.halo_px
    if stack.dtype != np.uint8 or stack.shape[1:] != (side, side, 3) or not len(stack):
        raise UsageError(
            f"{path.name} holds {stack.dtype} {stack.shape}; the bundle takes uint8 "
            f"(n, {side}, {side}, 3).",
            "Name a folder with tiles made for this bundle.",
        )
    return stack
