"""``models describe``: parameter counts by part, for both sizes."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

models = typer.Typer(help="What the networks are made of.", no_args_is_help=True)


@models.callback()
def _group() -> None:
    """Keep ``describe`` a command of its own while it is the only one."""


@models.command()
def describe(
    size: Annotated[
        Literal["reference", "demo"], typer.Option(help="Published or narrow widths.")
    ] = "reference",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print how many parameters each part has."""
    from napari_her2.models.description import SIZES, parameter_counts

    counts = parameter_counts(SIZES[size])
    if as_json:
        typer.echo(json.dumps(counts, indent=2))
        return
    width = max(map(len, counts))
    for part, number in counts.items():
        typer.echo(f"{part:<{width}}  {number:>12,}")
