"""From the command line's words to a run: which data, which stages, where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.training.config import TrainingConfig
from napari_her2.training.config_file import keep_config
from napari_her2.training.data_sets import VIRTUAL, DataSet, list_data, open_data
from napari_her2.training.demo import DemoRun
from napari_her2.training.distributed import is_main, processes, wait_for_all
from napari_her2.training.pairs import PairListing
from napari_her2.training.progress import TrainProgress
from napari_her2.training.splits import Split
from napari_her2.training.staged_run import StagedRun, StageName
from napari_her2.training.tiles import TileCache
from napari_her2.training.virtual import VirtualTiles


def launch(
    config: TrainingConfig,
    out: Path,
    *,
    stage: StageName = "all",
    source: str = VIRTUAL,
    found: PairListing | None = None,
) -> Iterator[TrainProgress]:
    """Train in ``out``, alone or as one of several processes of ``torchrun``.

    Parameters
    ----------
    config
        Settings; kept in ``out/config.yaml`` and compared when a run goes on.
    out
        Folder of the run.
    stage
        ``a``, ``b``, ``c`` or ``all``; all stages on virtual slides make the
        shipped bundle.
    source
        ``virtual``, ``bci:PATH``, ``mist:PATH`` or ``pairs:PATH``.
    found
        The listing of ``source``, where it was already made.

    Yields
    ------
    TrainProgress
        After every slide, image, step and scored tile.
    """
    with processes() as count:
        if is_main():
            _keep(config, out, source)
        wait_for_all()
        if source == VIRTUAL and stage == "all":
            if count > 1:
                raise UsageError(
                    "The demo bundle is made by one process.",
                    "Start it without torchrun, or train stage a, b or c alone.",
                )
            yield from DemoRun(config, out).train()
        elif source == VIRTUAL:
            yield from _virtual(config, out, stage)
        else:
            kind, listing = (
                list_data(source)
                if found is None
                else (
                    source.partition(":")[0],
                    found,
                )
            )
            data = yield from open_data(kind, listing, config, out)
            yield from StagedRun(config, out, data).train(stage)


def _virtual(
    config: TrainingConfig, out: Path, stage: StageName
) -> Iterator[TrainProgress]:
    """Train one stage on the tiles, and into the checkpoints, of the demo."""
    sources = {
        "generator": VirtualTiles.for_generator(config),
        "train": VirtualTiles.for_training(config),
    }
    if is_main():
        for name, source in sources.items():
            yield from TileCache(out / "tiles" / name, source).fill(config.processes)
    wait_for_all()
    restained, tiles = (
        TileCache(out / "tiles" / name, source) for name, source in sources.items()
    )
    learned = np.flatnonzero(tiles.slides < config.n_slides)
    watched = np.flatnonzero(tiles.slides >= config.n_slides)
    data = DataSet(
        name="demo",
        tiles=tiles,
        split=Split(learned, watched, watched[:0]),
        trained_on="virtual tissue only, drawn by a program; no real slide",
        licence="BSD-3-Clause",
        leakage={"caveat": "Virtual slides are in one part each."},
    )
    yield from StagedRun(config, out, data, restained).train(stage)


def _keep(config: TrainingConfig, out: Path, source: str) -> None:
    """Note settings and data of a run, or refuse a folder of another."""
    keep_config(config, out)
    path = out / "data.txt"
    try:
        if path.exists() and (there := path.read_text().strip()) != source:
            raise UsageError(
                f"{out} holds a run on {there}, not {source}.",
                "Choose an empty output folder.",
            )
        path.write_text(source + "\n")
    except OSError as error:
        raise StorageError(
            path,
            f"it cannot be written ({error.strerror or error}).",
            "Choose a folder you may write to.",
        ) from error
