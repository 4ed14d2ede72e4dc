"""Which DICOM files make up one slide, and whether all of it is there.

Only the headers are read here. A level that is missing or damaged refuses the
slide: the levels that are left would open as a slide of another scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from napari_her2.core.errors import SlideError
from napari_her2.slides.dicom_header import Instance, is_dicom, read_header
from napari_her2.slides.tiff_blocks import MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_SIDE_PX

MAX_FILES: Final = 4096

_RGB: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_END_OF_TILES: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_TAIL_BYTES: Final = 64 << 10


def find_levels(path: Path) -> list[Instance]:
    """Return the level instances of the series that a file or folder names.

    Parameters
    ----------
    path
        A folder of instances of one slide, or any one instance file; its
        neighbours of the same series are then found beside it.

    Raises
    ------
    SlideError
        If there is no level, there are several slides, or it is no RGB slide.
    """
    if path.is_dir():
        headers = _headers(path)
        series = {one.series_uid for one in headers if one.kind == "VOLUME"}
        if len(series) > 1:
            raise SlideError(
                path,
                f"it is a folder with {len(series)} DICOM slides.",
                "Open one file of the slide instead of the folder.",
            )
    else:
        given = read_header(path)
        if given is None:
            raise SlideError(
                path,
                "it is a DICOM file, but no image of a slide.",
                "Open an instance of the slide's own series.",
            )
        beside = _headers(path.parent, leave_out=path)
        headers = [given, *(h for h in beside if h.series_uid == given.series_uid)]
    levels = [header for header in headers if header.kind == "VOLUME"]
    if not levels:
        raise SlideError(
            path,
            "it holds no level of a slide, only its label, overview or thumbnail.",
            "Copy or export the whole DICOM series.",
        )
    for level in levels:
        _check(path, level)
        if level.is_encapsulated and not _ends_well(level):
            raise SlideError(
                path,
                "one of its files is truncated.",
                "Copy or export the whole series again.",
            )
    # of copies of one instance the first counts: the one that was asked for
    once = {level.uid: level for level in reversed(levels)}.values()
    return sorted(once, key=lambda one: (-one.shape[0] * one.shape[1], one.path.name))


def _headers(folder: Path, leave_out: Path | None = None) -> list[Instance]:
    try:
        paths = [p for p in sorted(folder.iterdir()) if p.is_file() and p != leave_out]
    except OSError as error:
        raise SlideError(
            folder,
            f"the folder cannot be read ({error.strerror or error}).",
            "Check that you may read it.",
        ) from error
    headers = []
    n_dicom = 0
    for path in paths:
        if not _starts_like_dicom(path):
            continue
        n_dicom += 1
        if n_dicom > MAX_FILES:
            raise SlideError(
                folder,
                f"the folder holds more than {MAX_FILES} DICOM files.",
                "Give every slide a folder of its own.",
            )
        # one that is damaged may be a level of this slide, so it is not passed over
        header = read_header(path)
        if header is not None:
            headers.append(header)
    return headers


def holds_dicom(folder: Path) -> bool:
    """Whether a folder has a DICOM file directly in it."""
    try:
        return any(_starts_like_dicom(path) for path in folder.iterdir())
    except OSError:
        return False


def _starts_like_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False


def _check(path: Path, level: Instance) -> None:
    problem = ""
    if level.n_channels == 1:
        problem = f"it is a grey image of {level.n_bits} bits"
    elif level.n_channels != 3:
        problem = f"it is an image of {level.n_channels} channels"
    elif level.n_bits != 8:
        problem = f"it is an image of {level.n_bits} bits per channel"
    elif level.photometric not in _RGB:
        problem = f"its colours are {level.photometric or 'not named'}"
    if problem:
        raise SlideError(
            path, f"{problem}.", "Only 8-bit RGB brightfield slides can be read."
        )
    height, width = level.tile_px
    sizes = (*level.shape, height, width, level.n_frames)
    if (
        min(sizes) < 1
        or max(level.shape) > MAX_SIDE_PX
        or level.n_frames > MAX_BLOCKS
        or 3 * height * width > MAX_BLOCK_BYTES
    ):
        raise SlideError(
            path,
            f"its size of {level.shape[1]} × {level.shape[0]} px in "
            f"{level.n_frames} tiles of {width} × {height} makes no sense.",
            "The file may be damaged; copy or export it again.",
        )


def _ends_well(level: Instance) -> bool:
    """Whether the mark that ends compressed tiles stands near the end of the file."""
    with level.path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL_BYTES, 0))
        return _END_OF_TILES in file.read(_TAIL_BYTES)
