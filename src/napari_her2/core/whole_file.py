"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text beside its target, down to the disk, then put it in place.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there is untouched, and nothing is
        left beside it.
    """
    draft = write_draft(path, text.replace("\n", os.linesep).encode())
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_draft(path: Path, content: bytes) -> Path:
    """Write a file beside its target, down to the disk, and return where it waits.

    Others may read it where they may read any new file of the folder.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left beside the target.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft
