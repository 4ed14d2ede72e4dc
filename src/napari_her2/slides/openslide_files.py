"""Slides that are more than one file: what belongs to them, and how to tell them."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final

from napari_her2.core.errors import SlideError

_VMS: Final = (b"[Virtual Microscope Specimen]", b"[Uncompressed Virtual Microscope")
_SQLITE: Final = b"SQLite format 3\0"
_MAX_INDEX_BYTES: Final = 1 << 20


def is_foreign(path: Path, head: bytes) -> bool:
    """Whether a file that is no TIFF is of a format that only OpenSlide knows.

    An MRXS file by itself is a small JPEG: what makes it a slide is the folder of
    the same name beside it.
    """
    return (
        path.suffix.lower() == ".mrxs"
        or head.startswith(_VMS)
        or (head.startswith(_SQLITE) and path.suffix.lower() == ".svslide")
    )


def files_of(path: Path) -> list[tuple[str, Path]]:
    """Return the files of a slide: the name inside the slide, and the path.

    Neither depends on what the slide itself is called.

    Raises
    ------
    SlideError
        If a folder that belongs to it cannot be listed.
    """
    folder = _mirax_folder(path)
    if folder is not None:
        try:
            inside = sorted(one for one in folder.rglob("*") if one.is_file())
        except OSError as error:
            raise SlideError(
                path,
                f"its folder cannot be read ({error.strerror or error}).",
                "Check that you may read it.",
            ) from error
        return [(one.relative_to(folder).as_posix(), one) for one in inside]
    return [("slide", path), *_named_in(path)]


def _mirax_folder(path: Path) -> Path | None:
    folder = path.with_suffix("")
    is_mirax = path.suffix.lower() == ".mrxs" and (folder / "Slidedat.ini").is_file()
    return folder if is_mirax else None


def _named_in(path: Path) -> list[tuple[str, Path]]:
    """Return the files that a Hamamatsu VMS or VMU index names beside itself."""
    if path.stat().st_size > _MAX_INDEX_BYTES:
        return []
    data = path.read_bytes()
    if not data.startswith(_VMS):
        return []
    index = configparser.RawConfigParser(strict=False)
    try:
        index.read_string(data.decode("utf-8", errors="replace"))
    except configparser.Error:
        return []
    found = {}
    for section in index.sections():
        for key, value in index.items(section):
            beside = path.parent / Path(value).name if value.strip() else path
            if beside != path and beside.is_file():
                found[f"{section}/{key}"] = beside
    return sorted(found.items())
