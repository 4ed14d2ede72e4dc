"""The commands, one module each, put together."""

from __future__ import annotations

import typer

from napari_her2.cli.bundle import bundle
from napari_her2.cli.cells import cells
from napari_her2.cli.evaluate import evaluate
from napari_her2.cli.export import export
from napari_her2.cli.models import models
from napari_her2.cli.parity import parity
from napari_her2.cli.phantom import phantom
from napari_her2.cli.register import register, warp_points
from napari_her2.cli.run import run
from napari_her2.cli.score import score
from napari_her2.cli.screen import screen
from napari_her2.cli.synthesize import synthesize
from napari_her2.cli.train import train
from napari_her2.cli.window import demo, open_window

commands = typer.Typer(
    name="napari-her2",
    help="Review HER2 in breast cancer. Research use only: AI assists, pathologist "
    "decides.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
commands.command()(demo)
commands.command("open")(open_window)
commands.command()(run)
commands.command()(synthesize)
commands.command()(score)
commands.command()(cells)
commands.command()(screen)
commands.command()(register)
commands.command("warp-points")(warp_points)
commands.command()(export)
commands.command()(phantom)
commands.command()(train)
commands.command()(evaluate)
bundle.command()(parity)
commands.add_typer(bundle, name="bundle")
commands.add_typer(models, name="models")
