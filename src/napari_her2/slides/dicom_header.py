"""What a DICOM instance says of itself, read without its pixels.

A series of whole-slide microscopy holds levels (VOLUME) and pictures of the
label and of the whole glass, which may show a patient's name. The kind stands in
the header, so no instance but the levels is ever read further.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from napari_her2.core.errors import SlideError
from napari_her2.slides.colour import MAX_ICC_BYTES
from napari_her2.slides.extras import load_extra
from napari_her2.slides.tiff_blocks import MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_SIDE_PX

MAX_FILES: Final = 4096

_WHOLE_SLIDE: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_OPTICAL_PATHS: Final = 0x00480105
_RGB: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

# pydicom logs what it finds odd; what matters here becomes a SlideError
logging.getLogger("pydicom").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Instance:
    """The header of one whole-slide instance.

    ``kind`` is the third value of its image type: VOLUME, LABEL, OVERVIEW or
    THUMBNAIL; ``shape`` (height, width) and ``tile_px`` are in pixels.
    """

    path: Path
    uid: str
    series_uid: str
    kind: str
    shape: tuple[int, int]
    tile_px: tuple[int, int]
    n_frames: int
    n_channels: int
    n_bits: int
    photometric: str


def is_dicom(head: bytes) -> bool:
    """Whether these first bytes are those of a DICOM file."""
    return head[128:132] == b"DICM"


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back pydicom's warnings: they quote values, which may name a person."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(path: Path) -> Instance | None:
    """Read the header of a file, None where it is no whole-slide image.

    Raises
    ------
    SlideError
        If it is damaged.
    """
    pydicom = load_extra(path, "pydicom", "dicom", "DICOM slides")
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if str(meta.get("MediaStorageSOPClassUID", "")) != _WHOLE_SLIDE:
            return None
        if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
            raise SlideError(
                path,
                "its DICOM header is compressed, which is not supported.",
                "Export it with another transfer syntax.",
            )
        with path.open("rb") as file, quiet():
            header = pydicom.filereader.read_partial(
                file, stop_when=lambda tag, _vr, _length: tag >= _OPTICAL_PATHS
            )
            return _instance(path, header)
    except SlideError:
        raise
    except Exception as error:
        raise broken(path, error) from error


def _instance(path: Path, header: Any) -> Instance:
    kinds = [str(kind).upper() for kind in header.get("ImageType", [])]

    def number(name: str) -> int:
        return int(header.get(name) or 0)

    return Instance(
        path=path,
        uid=str(header.get("SOPInstanceUID", "")),
        series_uid=str(header.get("SeriesInstanceUID", "")),
        kind=kinds[2] if len(kinds) > 2 else "",
        shape=(number("TotalPixelMatrixRows"), number("TotalPixelMatrixColumns")),
        tile_px=(number("Rows"), number("Columns")),
        n_frames=number("NumberOfFrames"),
        n_channels=number("SamplesPerPixel"),
        n_bits=number("BitsAllocated"),
        photometric=str(header.get("PhotometricInterpretation", "")),
    )


def read_icc(path: Path) -> bytes | None:
    """Return the ICC profile of an instance's first optical path, if it has one."""
    pydicom = load_extra(path, "pydicom", "dicom", "DICOM slides")
    with path.open("rb") as file, quiet():
        header = pydicom.filereader.read_partial(
            file, stop_when=lambda tag, _vr, _length: tag > _OPTICAL_PATHS
        )
    paths = header.get("OpticalPathSequence") or []
    profile = paths[0].get("ICCProfile") if paths else None
    if not profile or len(profile) > MAX_ICC_BYTES:
        return None
    return bytes(profile)


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
        try:
            header = read_header(path)
        except SlideError:
            if leave_out is None:
                raise
            continue  # a damaged neighbour may belong to another slide
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


def broken(path: Path, error: BaseException) -> SlideError:
    """Return the error of a damaged DICOM file.

    What the libraries say of it may quote values of the header, which may name a
    person, so only the kind of error is told.
    """
    return SlideError(
        path,
        f"it is a broken DICOM slide ({type(error).__name__}).",
        "Copy or export it again.",
    )
