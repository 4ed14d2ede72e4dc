"""``bundle``: export what a training run made, look into it, verify it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_her2.core.errors import BundleError, NotReadyError

bundle = typer.Typer(help="Model bundles.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle folder.")]


@bundle.command()
def export(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
) -> None:
    """Copy the bundle of a finished training run, verified before and after."""
    from napari_her2.models.bundle import copy_bundle
    from napari_her2.models.verification import verify_bundle

    made = run_dir / "bundle"
    if not made.is_dir():
        raise NotReadyError(
            f"{run_dir.name} holds no bundle: {_progress(run_dir)}.",
            f"Go on with napari-her2 train --out {run_dir}.",
        )
    typer.echo(f"{copy_bundle(verify_bundle(made), out).sha256}  {out}")


@bundle.command()
def inspect(
    folder: _Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a bundle is, holds and was measured to do."""
    from napari_her2.models.bundle import load_bundle
    from napari_her2.models.inspection import inspect_bundle

    found = inspect_bundle(load_bundle(folder))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for name in ("name", "version", "sha256", "trained_on", "licence", "intended_use"):
        typer.echo(f"{name:<13} {found[name]}")
    typer.echo(
        f"{'tile':<13} {found['core_px']} px + {found['halo_px']} px of halo, "
        f"{found['mpp']} µm/px"
    )
    typer.echo(f"{'classes':<13} {', '.join(found['classes'])}")
    for part, held in found["parts"].items():
        typer.echo(f"{part:<13} {held['n_values']:,} values, {held['n_bytes']:,} bytes")
    for arm, scores in found["scores"].get("arms", {}).items():
        typer.echo(f"{arm}: accuracy {scores['accuracy']}, n {scores['n_tiles']}")


@bundle.command()
def verify(folder: _Folder) -> None:
    """Check hashes, card and every weight; exit code 5 if the bundle is refused."""
    from napari_her2.models.verification import verify_bundle

    typer.echo(f"{verify_bundle(folder).sha256}  {folder} is whole and fits its card")


def _progress(run_dir: Path) -> str:
    """Say how far a training run has come."""
    if not run_dir.is_dir():
        raise BundleError(run_dir, "there is no such folder.", "Give a training run.")
    stages = sorted(path.stem for path in run_dir.glob("*.safetensors"))
    if not stages:
        return "no stage has begun"
    return f"it has not ended, checkpoints: {', '.join(stages)}"
