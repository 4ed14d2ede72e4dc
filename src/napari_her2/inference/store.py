"""The result store: what a bundle said about each tile of a slide, on disk.

A folder per combination of slides, transform, bundle, device and backend, made of
plain zarr arrays; a result is found again after a restart and never mixed with that
of another bundle. A tile's pixels and maps are written first and its state last,
in one byte, so a tile that is marked done is whole, whatever ends the program.
Two programs may write at once: tiles are deterministic, so both write the same
bytes to the same places. (A power cut may still lose what the system had not
written out.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from napari_her2.core.records import Arm, Evidence, GateVerdict
from napari_her2.inference.flat_array import FlatArray
from napari_her2.inference.grid import Tile, TileGrid
from napari_her2.inference.identity import REFERENCE_BACKEND, identity_of, key_of
from napari_her2.inference.levels import SyntheticLevel
from napari_her2.inference.ondisk import create_group
from napari_her2.inference.reading import TileReader
from napari_her2.inference.result import UNFAMILIAR_DISTANCE, TileResult, TileState
from napari_her2.inference.tile_array import TileArray
from napari_her2.models.bundle import Bundle
from napari_her2.slides.halving import LAST_LEVEL_PX
from napari_her2.slides.pair import SlidePair

__all__ = [
    "ResultStore",
    "TileResult",
    "TileState",
    "cache_root",
    "open_store",
]

CACHE_VARIABLE = "NAPARI_HER2_CACHE"

MapName = Literal[
    "probabilities",
    "attention",
    "channel_weights",
    "branch_share",
    "arm",
    "gate",
    "distance",
]
_ARMS = tuple(Arm)
_GATE_NUMBERS = tuple(
    field.name for field in fields(GateVerdict) if field.name != "reason"
)


def cache_root() -> Path:
    """Return the folder for caches: ``NAPARI_HER2_CACHE`` or the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("napari-her2"))


def open_store(
    pair: SlidePair,
    bundle: Bundle,
    *,
    device: str = "cpu",
    backend: str = REFERENCE_BACKEND,
    forced: bool = False,
    root: Path | None = None,
) -> ResultStore:
    """Open the results of a bundle on a pair, creating an empty store if new.

    Results of a ``forced`` run, which keeps what it made of unfamiliar tissue,
    lie apart from the others, and so do those of another backend.

    Raises
    ------
    NotReadyError
        If the bundle cannot run on this pair.
    StorageError
        If the folder cannot be written or holds damaged results.
    """
    reader = TileReader(pair, bundle.card)
    identity = identity_of(reader, bundle, device, backend, forced=forced)
    folder = (root or cache_root()) / "results" / key_of(identity)
    return ResultStore(folder, reader.grid, identity)


class ResultStore:
    """Results per tile of one slide, one bundle.

    Parameters
    ----------
    folder
        Where it lies; created when missing.
    grid
        The tiles it holds.
    identity
        What the results depend on (see :func:`identity_of`).
    """

    def __init__(self, folder: Path, grid: TileGrid, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.grid = grid
        self.identity = identity
        create_group(folder, {"napari_her2": {"identity": identity}})
        create_group(
            folder / "synthetic",
            {
                "napari_her2": {
                    "synthetic": True,
                    "forced": self.forced,
                    "mpp": grid.model_mpp,
                }
            },
        )
        create_group(folder / "maps", {})
        self._state = FlatArray.ensure(
            folder / "state", (grid.n_rows, grid.n_cols), np.uint8, ("row", "column")
        )
        self._state_view: NDArray[np.uint8] = self._state.view()
        height, width = grid.model_shape
        self._pixels = [
            TileArray.ensure(
                folder / "synthetic" / str(level),
                (-(-height // 2**level), -(-width // 2**level)),
                grid.core_px >> level,
            )
            for level in range(_level_count(grid))
        ]
        self._maps: dict[str, FlatArray] = {}

    @property
    def forced(self) -> bool:
        """Whether the run was forced on tissue or stain the bundle does not know."""
        return bool(self.identity.get("forced", False))

    @property
    def direction(self) -> str:
        """Which stain is made of which (``he->ihc``), empty where none is made."""
        return str(self.identity.get("direction", ""))

    @property
    def is_synthesised(self) -> NDArray[np.bool_]:
        """Which tiles have synthetic pixels, shape (rows, columns)."""
        if not self.direction:
            return np.zeros(self._state_view.shape, bool)
        done: NDArray[np.bool_] = self._state_view >= TileState.BOTH
        return done if self.forced else done & ~self.unfamiliar

    @cached_property
    def synthetic_levels(self) -> list[SyntheticLevel]:
        """The synthetic stain, finest level first, at the model's µm/px."""
        return [SyntheticLevel(pixels, self._state_view) for pixels in self._pixels]

    @property
    def state(self) -> NDArray[np.uint8]:
        """Live :class:`TileState` of each tile, shape (rows, columns), read-only."""
        return self._state_view

    def is_done(self, tile: Tile) -> bool:
        """Whether the results of a tile are there."""
        return int(self._state_view[tile]) >= TileState.BOTH

    def evidence_of(self, tile: Tile) -> Evidence | None:
        """Return what a tile's result rests on, None where there is none."""
        return TileState(int(self._state_view[tile])).evidence

    def arm_of(self, tile: Tile) -> Arm:
        """Return what the network scored in a tile that is done."""
        return _ARMS[int(self._value("arm", tile)[0])]

    def gate_of(self, tile: Tile) -> GateVerdict | None:
        """Return the gate's numbers for a tile that is done, without its reason."""
        values = self._value("gate", tile)
        if not np.isfinite(values).all():
            return None
        numbers = dict(zip(_GATE_NUMBERS, values.tolist(), strict=True))
        return GateVerdict(accepted=bool(numbers.pop("accepted")), reason="", **numbers)

    def distance_of(self, tile: Tile) -> float:
        """Return how unfamiliar a tile that is done is, NaN where nobody can tell."""
        return float(self._value("distance", tile)[0])

    @property
    def unfamiliar(self) -> NDArray[np.bool_]:
        """Which finished tiles are beyond what the bundle knows, (rows, columns)."""
        distance = self.map("distance")
        if distance is None:
            return np.zeros(self._state_view.shape, bool)
        done: NDArray[np.bool_] = self._state_view >= TileState.BOTH
        return done & (distance[..., 0] > UNFAMILIAR_DISTANCE)

    def map(self, name: MapName) -> NDArray[np.float32] | None:
        """Return a live, read-only map, NaN where nothing was computed.

        ``probabilities`` (rows, columns, K), ``channel_weights`` (rows, columns,
        C), ``branch_share``, ``arm`` (place in :class:`Arm`) and ``distance``
        (rows, columns, 1) and ``gate`` (rows, columns, 6: accepted as 0 or 1, R, q,
        q_u, p, p_u) hold values per tile, ``attention`` (rows * a, columns * a) is
        a mosaic. None before the first tile.
        """
        if name not in self._maps and (self.folder / "maps" / name).is_dir():
            self._maps[name] = FlatArray.open(self.folder / "maps" / name)
        array = self._maps.get(name)
        return None if array is None else array.view()

    def map_mpp(self, name: MapName) -> float:
        """Return the µm that one element of a map spans."""
        tile_um = self.grid.core_px * self.grid.model_mpp
        values = self.map(name) if name == "attention" else None
        return tile_um if values is None else tile_um * self.grid.n_rows / len(values)

    def probabilities_of(self, tile: Tile) -> NDArray[np.float64]:
        """Return the class probabilities of a tile that is done, shape (K,)."""
        return self._value("probabilities", tile)

    def mark_background(self, tiles: Iterable[Tile]) -> None:
        """Record tiles that hold too little tissue to be computed."""
        for tile in tiles:
            if self._state_view[tile] == TileState.MISSING:
                self._write_state(tile, TileState.BACKGROUND)

    def write_tile(self, tile: Tile, result: TileResult) -> Tile:
        """Store a tile and return it; its state changes after all else is there.

        Raises
        ------
        StorageError
            If the disk is full or refuses; the tile stays missing.
        """
        row, col = tile
        if result.synthetic is not None:
            block = np.ascontiguousarray(result.synthetic)
            for level, pixels in enumerate(self._pixels):
                block = halve(block) if level else block
                pixels.write(row, col, block)
        self._write_values("probabilities", tile, result.probabilities)
        self._write_values("channel_weights", tile, result.channel_weights)
        self._write_values("branch_share", tile, np.array([result.branch_share]))
        self._write_values("arm", tile, np.array([_ARMS.index(result.arm)]))
        self._write_values("gate", tile, _gate_numbers(result.gate))
        self._write_values("distance", tile, np.array([result.distance]))
        self._write_mosaic("attention", tile, result.attention)
        self._write_state(tile, TileState.of(result.evidence))
        return tile

    def _value(self, name: MapName, tile: Tile) -> NDArray[np.float64]:
        values = self.map(name)
        if values is None or not self.is_done(tile):
            raise KeyError(tile)
        return np.array(values[tile], float)

    def _write_state(self, tile: Tile, state: TileState) -> None:
        at = tile[0] * self.grid.n_cols + tile[1]
        self._state.write((at, np.array([state], np.uint8)))

    def _write_values(self, name: str, tile: Tile, values: NDArray[Any]) -> None:
        shape = (self.grid.n_rows, self.grid.n_cols, values.size)
        array = self._map_array(name, shape, ("row", "column", name))
        array.write(((tile[0] * shape[1] + tile[1]) * values.size, values))

    def _write_mosaic(self, name: str, tile: Tile, block: NDArray[Any]) -> None:
        height, width = block.shape
        shape = (self.grid.n_rows * height, self.grid.n_cols * width)
        array = self._map_array(name, shape, ("y", "x"))
        first = tile[0] * height * shape[1] + tile[1] * width
        array.write(*((first + y * shape[1], line) for y, line in enumerate(block)))

    def _map_array(
        self, name: str, shape: tuple[int, ...], axes: tuple[str, ...]
    ) -> FlatArray:
        if name not in self._maps:
            self._maps[name] = FlatArray.ensure(
                self.folder / "maps" / name, shape, np.float32, axes, fill=np.nan
            )
        return self._maps[name]


def _gate_numbers(gate: GateVerdict | None) -> NDArray[np.float64]:
    if gate is None:
        return np.full(len(_GATE_NUMBERS), np.nan)
    return np.array([getattr(gate, name) for name in _GATE_NUMBERS], float)


def halve(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the rounded means of 2x2 pixels, (C, H, W) -> (C, H/2, W/2).

    Examples
    --------
    >>> halve(np.array([[[0, 1], [2, 4]]], np.uint8)).tolist()
    [[[2]]]
    """
    pairs = planes.view(np.uint16)  # two neighbours in x at once
    sums = (pairs & 0xFF) + (pairs >> 8)
    means: NDArray[np.uint8] = ((sums[:, 0::2] + sums[:, 1::2] + 2) >> 2).astype(
        np.uint8
    )
    return means


def _level_count(grid: TileGrid) -> int:
    """Levels until the last is small, each tile staying whole pixels."""
    count, side = 1, grid.core_px
    while side % 2 == 0 and max(grid.model_shape) > LAST_LEVEL_PX << (count - 1):
        count, side = count + 1, side // 2
    return count
