"""zarr v3 arrays whose chunks are plain bytes, written in place.

Any zarr reader opens them. They are written here without zarr's own machinery
because the engine writes thousands of small blocks from a thread, and because
writing in place is what keeps two processes from harming each other: both write
the same bytes to the same offsets, and no file ever shrinks.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from napari_her2.core.errors import StorageError

Shape = tuple[int, ...]


def storage_error(folder: Path, error: OSError) -> StorageError:
    """Say that a result folder cannot be written or read, and what helps."""
    return StorageError(
        folder,
        f"results in {folder} cannot be stored ({error.strerror or error}).",
        "Free space there or set NAPARI_HER2_CACHE to another folder, then run "
        "again: finished tiles are kept.",
    )


@dataclass(frozen=True, slots=True)
class RawArray:
    """One array: ``folder`` holds ``zarr.json`` and a file per chunk."""

    folder: Path
    shape: Shape
    chunks: Shape
    dtype: np.dtype[Any]

    @classmethod
    def open(cls, folder: Path) -> RawArray:
        """Open an array that :func:`create_array` wrote.

        Raises
        ------
        StorageError
            If its description is missing or broken.
        """
        try:
            meta = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
            chunks = meta["chunk_grid"]["configuration"]["chunk_shape"]
            return cls(
                folder, tuple(meta["shape"]), tuple(chunks), np.dtype(meta["data_type"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                folder,
                f"results in {folder} are damaged ({error}).",
                "Delete that folder; its tiles are computed again.",
            ) from error

    def chunk_path(self, index: Shape) -> Path:
        """Return the file of a chunk."""
        return self.folder / ".".join(["c", *map(str, index)])

    def write_chunk(self, index: Shape, block: NDArray[Any]) -> None:
        """Write a whole chunk, at the border of the array too.

        Raises
        ------
        StorageError
            If the disk is full or refuses.
        """
        if block.shape != self.chunks or block.dtype != self.dtype:
            raise ValueError(
                f"a chunk is {self.chunks} {self.dtype}, got {block.shape} "
                f"{block.dtype}"
            )
        self._write(index, 0, block)

    def read_chunk(self, index: Shape) -> NDArray[Any] | None:
        """Return a whole chunk, or None where none was written."""
        try:
            flat = np.fromfile(self.chunk_path(index), self.dtype)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(self.folder, error) from error
        return (
            flat.reshape(self.chunks) if flat.size == math.prod(self.chunks) else None
        )

    def write_flat(self, first: int, values: NDArray[Any]) -> None:
        """Write consecutive elements of an array that is one chunk.

        Raises
        ------
        StorageError
            If the disk is full or refuses.
        """
        self._write((0,) * len(self.shape), first, values.astype(self.dtype))

    def view(self) -> NDArray[Any]:
        """Return a read-only live view of an array that is one chunk."""
        path = self.chunk_path((0,) * len(self.shape))
        try:
            return np.memmap(path, self.dtype, mode="r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise StorageError(
                self.folder,
                f"results in {self.folder} are damaged ({error}).",
                "Delete that folder; its tiles are computed again.",
            ) from error

    def _write(self, index: Shape, first: int, values: NDArray[Any]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            handle = os.open(self.chunk_path(index), flags, 0o644)
            try:
                if first:
                    os.lseek(handle, first * self.dtype.itemsize, os.SEEK_SET)
                rest = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
                while rest:
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)
        except OSError as error:
            raise storage_error(self.folder, error) from error


def create_group(folder: Path, attributes: dict[str, Any]) -> None:
    """Describe a folder as a zarr group unless it is one already.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    target = folder / "zarr.json"
    if target.exists():
        return
    meta = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    draft = folder / f".zarr.json-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(json.dumps(meta, indent=2), encoding="utf-8")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def create_array(
    folder: Path,
    shape: Shape,
    dtype: DTypeLike,
    axes: tuple[str, ...],
    *,
    chunks: Shape | None = None,
    fill: float = 0,
) -> RawArray:
    """Create an array, or open it when another process was faster.

    Without ``chunks`` the array is one chunk, written in full at once with
    ``fill``: a later write into it never needs new space on the disk.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    array = RawArray(folder, shape, chunks or shape, np.dtype(dtype))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # a leading dot keeps zarr readers away from what is not finished
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            zarr.create_array(
                draft,
                shape=shape,
                chunks=array.chunks,
                dtype=array.dtype,
                compressors=None,
                filters=None,
                fill_value=fill,
                dimension_names=axes,
                chunk_key_encoding={"name": "default", "separator": "."},
            )
            if chunks is None:
                np.full(shape, fill, array.dtype).tofile(
                    draft / array.chunk_path((0,) * len(shape)).name
                )
            _publish(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    return RawArray.open(folder)


def _publish(draft: Path, folder: Path) -> None:
    """Move a finished folder to its place unless it is taken."""
    draft.chmod(0o755)
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
