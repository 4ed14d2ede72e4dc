"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from napari_her2.core.errors import StorageError
from napari_her2.core.whole_file import write_draft


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files so that each is the old one or the new one, never a part.

    All are written and flushed beside their targets before the first is put in
    place, so a disk that fills up leaves every old file as it was.

    Raises
    ------
    StorageError
        If a file cannot be written; targets not yet replaced stay as they were.
    """
    staged: dict[Path, Path] = {}
    target = Path()
    try:
        for target, content in contents.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            staged[target] = write_draft(target, content)
        for target, waiting in staged.items():
            waiting.replace(target)
        for folder in {target.parent for target in staged}:
            _flush_folder(folder)
    except OSError as error:
        raise StorageError(
            target,
            f"cannot be written ({error.strerror or error}); an earlier file is kept.",
            "Free space, close the file elsewhere or choose another folder, then "
            "export again.",
        ) from error
    finally:
        for waiting in staged.values():
            waiting.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make renames durable where folders can be flushed (not on Windows)."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
