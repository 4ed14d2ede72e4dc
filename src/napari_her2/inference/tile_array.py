"""A zarr array of image tiles in a few big files.

A file (a shard, in zarr's words) holds 8 x 8 tiles, uncompressed, each at its
own fixed place behind the index that zarr's readers look up. A file per tile
would be simpler, but making files is what many file systems are slowest at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_her2.inference.ondisk import (
    META_NAME,
    RAW_BYTES,
    array_meta,
    create_file,
    create_folder,
    storage_error,
    write_at,
)

SHARD_TILES = 8
_MISSING = np.full((SHARD_TILES**2, 2), 2**64 - 1, "<u8")
_FIRST_TILE_AT = 4096
"""Behind the index, on a page border."""


@dataclass(frozen=True, slots=True)
class TileArray:
    """uint8 planes (3, height, width) in square tiles of ``side`` pixels."""

    folder: Path
    shape: tuple[int, int, int]
    side: int

    @classmethod
    def ensure(cls, folder: Path, shape: tuple[int, int], side: int) -> TileArray:
        """Open the array of an image (height, width), created if it is not there.

        Raises
        ------
        StorageError
            If the disk is full or refuses.
        """
        array = cls(folder, (3, *shape), side)
        if not (folder / META_NAME).exists():
            sharding = {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [3, side, side],
                    "codecs": [RAW_BYTES],
                    "index_codecs": [RAW_BYTES],
                    "index_location": "start",
                },
            }
            meta = array_meta(
                array.shape,
                np.dtype(np.uint8),
                ("c", "y", "x"),
                chunk_shape=(3, SHARD_TILES * side, SHARD_TILES * side),
                codecs=[sharding],
                fill=0,
            )
            create_folder(folder, meta, {})
        return array

    @property
    def tile_bytes(self) -> int:
        """Size of a tile on the disk."""
        return 3 * self.side**2

    def write(self, row: int, col: int, planes: NDArray[np.uint8]) -> None:
        """Write a whole tile (3, side, side), at the border of the image too.

        Raises
        ------
        StorageError
            If the disk is full or refuses.
        """
        if planes.shape != (3, self.side, self.side) or planes.dtype != np.uint8:
            raise ValueError(
                f"a tile is uint8 (3, {self.side}, {self.side}), "
                f"got {planes.dtype} {planes.shape}"
            )
        path, slot = self._place(row, col)
        if not path.exists():
            create_file(path, _MISSING.tobytes())
        offset = self._offset(slot)
        entry = np.array([offset, self.tile_bytes], _MISSING.dtype)
        write_at(path, (offset, planes), (slot * entry.nbytes, entry))

    def read(self, row: int, col: int) -> NDArray[np.uint8] | None:
        """Return a tile (3, side, side), or None if it was never written."""
        path, slot = self._place(row, col)
        try:
            with path.open("rb") as file:
                # a tile between written ones reads as black, so ask the index
                file.seek(slot * _MISSING[0].nbytes)
                entry = np.fromfile(file, _MISSING.dtype, 2)
                if entry.size < 2 or entry[0] == _MISSING[0, 0]:
                    return None
                file.seek(self._offset(slot))
                planes = np.fromfile(file, np.uint8, self.tile_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(self.folder, error) from error
        if planes.size < self.tile_bytes:
            return None
        return planes.reshape(3, self.side, self.side)

    def _place(self, row: int, col: int) -> tuple[Path, int]:
        (shard_row, y), (shard_col, x) = (
            divmod(row, SHARD_TILES),
            divmod(col, SHARD_TILES),
        )
        return self.folder / f"c.0.{shard_row}.{shard_col}", y * SHARD_TILES + x

    def _offset(self, slot: int) -> int:
        return _FIRST_TILE_AT + slot * self.tile_bytes
