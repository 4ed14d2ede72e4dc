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

_WHOLE_SLIDE: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_OPTICAL_PATHS: Final = 0x00480105

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
    is_encapsulated: bool


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
        if not meta.get("TransferSyntaxUID") or not meta.get("MediaStorageSOPClassUID"):
            raise EOFError("the header ends early")
        if str(meta.MediaStorageSOPClassUID) != _WHOLE_SLIDE:
            return None
        if str(meta.TransferSyntaxUID) == _DEFLATED:
            raise SlideError(
                path,
                "its DICOM header is compressed, which is not supported.",
                "Export it with another transfer syntax.",
            )
        tags: list[int] = []

        def is_behind(tag: int, _vr: str | None, _length: int) -> bool:
            tags.append(tag)
            return tag >= _OPTICAL_PATHS

        with path.open("rb") as file, quiet():
            header = pydicom.filereader.read_partial(file, stop_when=is_behind)
            if not tags or tags[-1] < _OPTICAL_PATHS:
                raise EOFError("the header ends early")
            syntax = pydicom.uid.UID(meta.TransferSyntaxUID)
            return _instance(path, header, is_encapsulated=syntax.is_encapsulated)
    except SlideError:
        raise
    except Exception as error:
        raise broken(path, error) from error


def _instance(path: Path, header: Any, *, is_encapsulated: bool) -> Instance:
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
        is_encapsulated=is_encapsulated,
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
