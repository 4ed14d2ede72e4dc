"""``train``: networks from virtual slides, BCI, MIST or pairs of one's own."""

from __future__ import annotations

import inspect
import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from napari_her2.cli.progress import bar
from napari_her2.core.errors import UsageError
from napari_her2.training.config import TrainingConfig

_NUMBERS = {"int": int, "float": float}


def train(
    out: Path | None,
    stage: Literal["a", "b", "c", "all"],
    config: str | None,
    data: str,
    settings: list[str] | None,
    print_config: bool,
    **numbers: Any,
) -> None:
    """Train on virtual slides or pairs of images; goes on where it was stopped.

    Stage a makes the two generators, b the classifier with the generators frozen,
    c trains them together; b and c end with OUT/bundle. All on virtual slides
    makes the shipped bundle. With several GPUs, start it with torchrun.
    """
    # imported late: --help needs no torch
    from napari_her2.training.config_file import dump_config, load_config

    given = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    chosen = load_config(config, [*given, *(settings or [])])
    if print_config:
        typer.echo(dump_config(chosen), nl=False)
        return
    if out is None:
        raise UsageError("The folder of the run is missing.", "Give --out DIR.")
    from napari_her2.training.data_sets import VIRTUAL, list_data
    from napari_her2.training.launch import launch

    is_main = os.environ.get("RANK", "0") == "0"
    found = None
    if data != VIRTUAL:
        _, found = list_data(data)
        for line in found.summary() if is_main else ():
            typer.echo(line, err=True)
    run = launch(chosen, out, stage=stage, source=data, found=found)
    with bar() as shown:
        tasks = {}
        for step in run if is_main else _quietly(run):
            if step.stage not in tasks:
                tasks[step.stage] = shown.add_task(step.stage.value)
            shown.update(tasks[step.stage], total=step.n_steps, completed=step.step)
            if "batch_halved_to" in step.losses:
                shown.console.print(
                    f"{step.stage}, step {step.step}: memory ran out; the batch is now "
                    f"{step.losses['batch_halved_to']:g}."
                )
    if is_main:
        typer.echo(out if stage == "a" else out / "bundle")


def _quietly(run: Any) -> tuple[Any, ...]:
    """Run to the end without showing anything."""
    for _ in run:
        pass
    return ()


def _parameters() -> list[inspect.Parameter]:
    """Return the options, with one per number in the configuration."""
    options: dict[str, tuple[Any, Any, Any]] = {
        "out": (Path | None, None, typer.Option(help="Folder of the run.")),
        "stage": (
            Literal["a", "b", "c", "all"],
            "all",
            typer.Option(help="Which part of the training."),
        ),
        "config": (
            str | None,
            None,
            typer.Option(
                metavar="FILE", help="Settings in YAML, or demo, or reference."
            ),
        ),
        "data": (
            str,
            "virtual",
            typer.Option(
                metavar="KIND:PATH",
                help="virtual, bci:PATH, mist:PATH, or pairs:PATH (he/, ihc/ and "
                "perhaps labels.csv).",
            ),
        ),
        "settings": (
            list[str] | None,
            None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="One more setting, also network.KEY."
            ),
        ),
        "print_config": (
            bool,
            False,
            typer.Option("--print-config", help="Print all settings and stop."),
        ),
    }
    for field in fields(TrainingConfig):
        if kind := _NUMBERS.get(str(field.type)):
            help_text = f"Default: {field.default}."
            options[field.name] = (kind | None, None, typer.Option(help=help_text))
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[kind, option],
            default=default,
        )
        for name, (kind, default, option) in options.items()
    ]


# the options are the fields of TrainingConfig, so that the two cannot differ
train.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
train.__annotations__ = {p.name: p.annotation for p in _parameters()}
