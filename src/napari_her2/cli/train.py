"""``train``: make the demo bundle from nothing."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_her2.cli.progress import bar
from napari_her2.training.config import TrainingConfig


def train(out: Path, **settings: Any) -> None:
    """Train on virtual slides and write OUT/bundle; goes on where it was stopped."""
    from napari_her2.training.demo import train_demo

    with bar() as shown:
        tasks = {}
        for step in train_demo(TrainingConfig(**settings), out):
            if step.stage not in tasks:
                tasks[step.stage] = shown.add_task(step.stage.value)
            shown.update(tasks[step.stage], total=step.n_steps, completed=step.step)
    typer.echo(out / "bundle")


def _parameters() -> list[inspect.Parameter]:
    """Return one option per number in the configuration, and the folder."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(
            "out",
            keyword,
            annotation=Annotated[Path, typer.Option(help="Folder of the run.")],
        )
    ]
    numbers = {"int": int, "float": float}
    for field in fields(TrainingConfig):
        kind = numbers.get(str(field.type))
        if kind is not None:
            options.append(
                inspect.Parameter(
                    field.name,
                    keyword,
                    annotation=Annotated[kind, typer.Option()],
                    default=field.default,
                )
            )
    return options


# the options are the fields of TrainingConfig, so that the two cannot differ
train.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
train.__annotations__ = {p.name: p.annotation for p in _parameters()}
