"""A zarr array that is one chunk: small values per tile, seen live in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_her2.inference.ondisk import (
    META_NAME,
    RAW_BYTES,
    Shape,
    array_meta,
    create_folder,
    damaged,
    read_meta,
    write_at,
)


@dataclass(frozen=True, slots=True)
class FlatArray:
    """One array in one file, complete from the start.

    Its space on the disk is taken when it is created: a later write needs none.
    """

    folder: Path
    shape: Shape
    dtype: np.dtype[Any]

    @classmethod
    def ensure(
        cls,
        folder: Path,
        shape: Shape,
        dtype: DTypeLike,
        axes: tuple[str, ...],
        *,
        fill: float = 0,
    ) -> FlatArray:
        """Open an array, created full of ``fill`` if it is not there.

        Raises
        ------
        StorageError
            If the disk is full or refuses, or what is there is damaged.
        """
        if not (folder / META_NAME).exists():
            content = np.full(shape, fill, dtype)
            meta = array_meta(
                shape,
                content.dtype,
                axes,
                chunk_shape=shape,
                codecs=[RAW_BYTES],
                fill="NaN" if np.isnan(fill) else fill,
            )
            create_folder(folder, meta, {_name(shape): content.tobytes()})
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> FlatArray:
        """Open an array that is there.

        Raises
        ------
        StorageError
            If it is damaged.
        """
        meta = read_meta(folder)
        try:
            return cls(folder, tuple(meta["shape"]), np.dtype(meta["data_type"]))
        except (KeyError, TypeError) as error:
            raise damaged(folder, error) from error

    def write(self, *parts: tuple[int, NDArray[Any]]) -> None:
        """Write runs of elements, each from its first one counted in C order.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        write_at(
            self.folder / _name(self.shape),
            *(
                (first * self.dtype.itemsize, values.astype(self.dtype))
                for first, values in parts
            ),
        )

    def view(self) -> NDArray[Any]:
        """Return a read-only view that shows what any process writes.

        Raises
        ------
        StorageError
            If the file is damaged.
        """
        path = self.folder / _name(self.shape)
        try:
            return np.memmap(path, self.dtype, mode="r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise damaged(self.folder, error) from error


def _name(shape: Shape) -> str:
    return ".".join(["c", *("0" for _ in shape)])
