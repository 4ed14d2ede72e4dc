"""Tiles to learn from, rendered once and kept on disk.

A :class:`TileSource` renders all tiles of one slide; a :class:`TileCache`
holds those of many slides as memory-mapped arrays, whole slides at a time, so
that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Score
from napari_her2.models.card import NO_TUMOUR
from napari_her2.training.progress import TrainProgress, TrainStage

CLASSES = (NO_TUMOUR, *(score.value for score in Score))
"""Class names by label."""

CELL_GRID_PX = 16
"""Side of the squares in which cells are counted."""

N_PATTERNS = 5
"""Membrane patterns of a cell, from none to complete and intense."""


class Tiles(Protocol):
    """Paired tiles with labels, whatever they come from."""

    @property
    def he(self) -> Any:
        """The H&E: item i is uint8 (t, t, 3)."""
        ...

    @property
    def ihc(self) -> Any:
        """The IHC: item i is uint8 (t, t, 3)."""
        ...

    @property
    def labels(self) -> NDArray[np.integer[Any]]:
        """(n, 5), indices of ``classes``: the core and its four quarters."""
        ...

    @property
    def slides(self) -> NDArray[np.integer[Any]]:
        """(n,), the slide or patient each tile comes from."""
        ...

    @property
    def cells(self) -> Any | None:
        """Item i is uint8 (g, g, 5), see :class:`TrainingTile`.

        None where cells are not known, as in every public data set.
        """
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def __len__(self) -> int:
        """Return the number of tiles."""
        ...


@dataclass(frozen=True, slots=True)
class TrainingTile:
    """One tile in both stains, with core and halo, and its labels.

    ``he`` and ``ihc`` are uint8 (tile, tile, 3) in the H&E frame; ``labels``
    are those of the core and of its four quarters (row by row), as indices of
    :data:`CLASSES`; ``cells``, uint8 (g, g, 5) over the whole tile, counts the
    invasive cells of the IHC section by membrane pattern on a grid of
    :data:`CELL_GRID_PX`.
    """

    he: NDArray[np.uint8]
    ihc: NDArray[np.uint8]
    labels: tuple[int, int, int, int, int]
    cells: NDArray[np.uint8]


class TileSource(Protocol):
    """Renders tiles of numbered slides; must survive being sent to a process."""

    @property
    def n_slides(self) -> int:
        """Number of slides."""
        ...

    @property
    def tiles_per_slide(self) -> int:
        """Tiles that every slide gives."""
        ...

    @property
    def tile_px(self) -> int:
        """Side of a tile with its halo."""
        ...

    def render(self, slide: int) -> Sequence[TrainingTile]:
        """Return the tiles of one slide."""
        ...


class TileCache:
    """Tiles of all slides of a source in a folder.

    Attributes
    ----------
    he, ihc
        uint8 (n, tile, tile, 3).
    labels
        int8 (n, 5), see :class:`TrainingTile`.
    slides
        int (n,), the slide each tile comes from.
    cells
        uint8 (n, g, g, 5), see :class:`TrainingTile`.
    """

    classes = CLASSES

    def __init__(self, folder: Path, source: TileSource) -> None:
        self.source = source
        n = source.n_slides * source.tiles_per_slide
        image = (n, source.tile_px, source.tile_px, 3)
        folder.mkdir(parents=True, exist_ok=True)
        self.he = _array(folder / "he.npy", image, np.uint8)
        self.ihc = _array(folder / "ihc.npy", image, np.uint8)
        self.labels = _array(folder / "labels.npy", (n, 5), np.int8)
        grid = source.tile_px // CELL_GRID_PX
        self.cells = _array(folder / "cells.npy", (n, grid, grid, N_PATTERNS), np.uint8)
        self._done = _array(folder / "done.npy", (source.n_slides,), np.uint8)
        self.slides = np.repeat(np.arange(source.n_slides), source.tiles_per_slide)

    def __len__(self) -> int:
        return len(self.slides)

    def fill(self, processes: int) -> Iterator[TrainProgress]:
        """Render the slides that are not there yet; with 0 processes in this one."""
        todo = [int(i) for i in np.flatnonzero(self._done == 0)]
        n_slides = self.source.n_slides
        if not todo:
            return
        if processes == 0:
            for step, slide in enumerate(todo, n_slides - len(todo) + 1):
                self._store(slide, self.source.render(slide))
                yield TrainProgress(TrainStage.TILES, step, n_slides)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            futures = {pool.submit(self.source.render, slide): slide for slide in todo}
            try:
                for count, future in enumerate(as_completed(futures), 1):
                    self._store(futures[future], future.result())
                    step = n_slides - len(todo) + count
                    yield TrainProgress(TrainStage.TILES, step, n_slides)
            finally:
                pool.shutdown(cancel_futures=True)

    def _store(self, slide: int, tiles: Sequence[TrainingTile]) -> None:
        first = slide * self.source.tiles_per_slide
        for index, tile in enumerate(tiles, first):
            self.he[index] = tile.he
            self.ihc[index] = tile.ihc
            self.labels[index] = tile.labels
            self.cells[index] = tile.cells
        self._done[slide] = 1


def _array(path: Path, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", dtype=dtype, shape=shape)
    array = np.lib.format.open_memmap(path, "r+")
    if array.shape != shape or array.dtype != dtype:
        raise UsageError(
            f"{path.parent} holds tiles of another run.",
            "Choose an empty output folder.",
        )
    return array
