"""Image pairs as plain arrays on disk: a GPU trains faster than PNG is decoded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from napari_her2.training.checkpoint import unwritable
from napari_her2.training.distributed import is_main, wait_for_all
from napari_her2.training.image_tiles import PairTiles
from napari_her2.training.progress import TrainProgress, TrainStage

_CHUNK = 64
_GIB = 1 << 30
_FREE_GIB = 2
"""What a disk must keep free beside the arrays."""


def unpack(tiles: PairTiles, folder: Path, limit_gib: float) -> Iterator[TrainProgress]:
    """Let tiles be read from arrays in a folder, made now where they are missing.

    Tiles stay as they are when the arrays would be larger than the limit, or
    than the room on the disk. An interrupted copy goes on where it stopped.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    size = 2 * int(np.prod(tiles.he.shape))
    if size > limit_gib * _GIB:
        return
    made = folder / "done.npy"
    if is_main():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        free = shutil.disk_usage(folder).free
        # a full disk would end the process when a mapped page is written
        if made.exists() or free > size + _FREE_GIB * _GIB:
            yield from _copy(tiles, folder)
    wait_for_all()
    if made.exists():
        tiles.he, tiles.ihc = (np.load(folder / f"{s}.npy", "r") for s in ("he", "ihc"))


def _copy(tiles: PairTiles, folder: Path) -> Iterator[TrainProgress]:
    mode = "r+" if (folder / "done.npy").exists() else "w+"
    he, ihc = (
        np.lib.format.open_memmap(
            folder / f"{stain}.npy", mode, dtype=np.uint8, shape=tiles.he.shape
        )
        for stain in ("he", "ihc")
    )
    done = np.lib.format.open_memmap(
        folder / "done.npy", mode, dtype=np.uint8, shape=(len(tiles),)
    )

    def copy(row: int) -> None:
        he[row], ihc[row] = tiles.he[row], tiles.ihc[row]

    todo = np.flatnonzero(done == 0)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(todo), _CHUNK):
            rows = todo[start : start + _CHUNK]
            list(pool.map(copy, rows.tolist()))
            done[rows] = 1
            step = len(done) - len(todo) + start + len(rows)
            yield TrainProgress(TrainStage.TILES, step, len(done))
