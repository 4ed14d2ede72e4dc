"""Files of zarr v3 arrays that are written in place.

Any zarr reader opens the arrays. They are written here without zarr's own
machinery because the engine writes thousands of small blocks from a thread, and
because writing in place is what keeps two processes from harming each other:
both write the same bytes to the same offsets, and no file ever shrinks.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import StorageError

META_NAME = "zarr.json"
RAW_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}

Shape = tuple[int, ...]


def storage_error(folder: Path, error: OSError) -> StorageError:
    """Say that a result folder cannot be written or read, and what helps."""
    return StorageError(
        folder,
        f"results in {folder} cannot be stored ({error.strerror or error}).",
        "Free space there or set NAPARI_HER2_CACHE to another folder, then run "
        "again: finished tiles are kept.",
    )


def damaged(folder: Path, error: Exception) -> StorageError:
    """Say that a result folder does not hold what it should."""
    return StorageError(
        folder,
        f"results in {folder} are damaged ({error}).",
        "Delete that folder; its tiles are computed again.",
    )


def array_meta(
    shape: Shape,
    dtype: np.dtype[Any],
    axes: tuple[str, ...],
    *,
    chunk_shape: Shape,
    codecs: list[dict[str, Any]],
    fill: float | str,
) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array whose chunks are files ``c.0.0``."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(chunk_shape)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": codecs,
        "dimension_names": list(axes),
        "attributes": {},
    }


def read_meta(folder: Path) -> dict[str, Any]:
    """Read the ``zarr.json`` of a folder.

    Raises
    ------
    StorageError
        If it is missing or no JSON.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META_NAME).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(folder, error) from error
    return meta


def create_group(folder: Path, attributes: dict[str, Any]) -> None:
    """Describe a folder as a zarr group unless it is one already.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    if not (folder / META_NAME).exists():
        meta = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        create_file(folder / META_NAME, json.dumps(meta, indent=2).encode())


def create_folder(
    folder: Path, meta: dict[str, Any], files: Mapping[str, bytes]
) -> None:
    """Create a folder with its files at once, unless another process was faster.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    try:
        # a leading dot keeps zarr readers away from what is not finished
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            draft.chmod(0o755)
            (draft / META_NAME).write_text(json.dumps(meta, indent=2), "utf-8")
            for name, content in files.items():
                (draft / name).write_bytes(content)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        if not folder.is_dir():
            raise storage_error(folder, error) from error


def create_file(path: Path, content: bytes) -> None:
    """Create a file with its content at once, unless another process was faster.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        try:
            draft.write_bytes(content)
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        if not path.exists():
            raise storage_error(path.parent, error) from error


def write_at(path: Path, *parts: tuple[int, NDArray[Any]]) -> None:
    """Write arrays into a file that exists, each at its offset in bytes.

    Raises
    ------
    StorageError
        If the disk is full or refuses.
    """
    try:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            for offset, values in parts:
                os.lseek(handle, offset, os.SEEK_SET)
                rest = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
                while rest:
                    rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)
    except OSError as error:
        raise storage_error(path.parent, error) from error
