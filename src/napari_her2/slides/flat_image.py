"""PNG and JPEG: small enough to be decoded whole, once, when they are opened.

The header is read first, so that no file can announce more memory than a flat
image may take.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.broken import Broken, kind_of
from napari_her2.slides.codestream import JPEG_FRAMES
from napari_her2.slides.embedded_profile import flat_icc
from napari_her2.slides.fingerprint import fingerprint_file
from napari_her2.slides.orientation import ORIENTATIONS, upright
from napari_her2.slides.scale import square_mpp
from napari_her2.slides.shared_file import SharedFile
from napari_her2.slides.source import SlideSource
from napari_her2.slides.tiff_blocks import flatten_alpha

MAX_FLAT_PX: Final = 400_000_000
MAX_FILE_BYTES: Final = 1 << 30
_BLOCK_PX: Final = 512
_PNG_MODES: Final = {0: "grey", 2: "RGB", 3: "palette", 4: "grey", 6: "RGBA"}


@dataclass(frozen=True, slots=True)
class _Header:
    """What an image says of itself before it is decoded."""

    width: int
    height: int
    problem: str = ""
    orientation: int = 1
    px_per_m: tuple[float, float] | None = None  # y, x


class ArrayBlocks:
    """Blocks of an image that is in memory."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        self.block_px: tuple[int, int] = (_BLOCK_PX, _BLOCK_PX)

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return a view of one block."""
        y0, x0 = row * _BLOCK_PX, col * _BLOCK_PX
        return self._image[y0 : y0 + _BLOCK_PX, x0 : x0 + _BLOCK_PX]


def open_flat(path: Path) -> SlideSource:
    """Open a PNG or JPEG of 8-bit RGB or RGBA.

    An EXIF orientation is applied; transparency is laid over white.

    Raises
    ------
    SlideError
        If it is damaged, truncated, larger than 400 megapixels or no RGB image.
    """
    file = SharedFile(path)
    try:
        data = _content(path, file)
        fingerprint = fingerprint_file(file)
    finally:
        file.close()
    image, header = _pixels(path, data)
    mpp = None
    if header.px_per_m is not None:
        y, x = header.px_per_m
        mpp = square_mpp(path, 1e6 / y if y > 0 else None, 1e6 / x if x > 0 else None)
    return SlideSource(
        [ArrayBlocks(image)], mpp, fingerprint, close=lambda: None, icc=flat_icc(data)
    )


def read_flat(path: Path) -> NDArray[np.uint8]:
    """Return the pixels (h, w, 3) of a PNG or JPEG, checked as by :func:`open_flat`.

    Raises
    ------
    SlideError
        If it is missing, damaged, truncated, too large or no RGB image.
    """
    file = SharedFile(path)
    try:
        data = _content(path, file)
    finally:
        file.close()
    return _pixels(path, data)[0]


def _content(path: Path, file: SharedFile) -> bytes:
    if file.size > MAX_FILE_BYTES:
        raise _too_large(path, f"{file.size >> 20} MB")
    return file.read(0, file.size)


def _pixels(path: Path, data: bytes) -> tuple[NDArray[np.uint8], _Header]:
    is_png = data.startswith(b"\x89PNG")
    try:
        header = (_png_header if is_png else _jpeg_header)(data)
    except Broken as error:
        raise _damaged(path, str(error)) from error
    except (struct.error, IndexError, ValueError) as error:
        raise _damaged(path, "its header is cut off") from error
    if header.problem:
        raise SlideError(
            path, f"{header.problem}.", "Only 8-bit RGB brightfield slides can be read."
        )
    if header.width * header.height > MAX_FLAT_PX:
        raise _too_large(path, f"{header.width} × {header.height} px")
    return _decode(path, data, header, is_png), header


def _decode(
    path: Path, data: bytes, header: _Header, is_png: bool
) -> NDArray[np.uint8]:
    decode = imagecodecs.png_decode if is_png else imagecodecs.jpeg_decode
    try:
        image = np.asarray(decode(data))
    except MemoryError as error:
        raise _too_large(path, f"{header.width} × {header.height} px") from error
    except Exception as error:
        raise _damaged(path, kind_of(error)) from error
    shape = (header.height, header.width)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise _damaged(path, f"it decodes to {image.dtype} {image.shape}")
    if image.shape[:2] != shape:
        raise _damaged(path, f"its header says {shape}, it is {image.shape[:2]}")
    return np.ascontiguousarray(upright(flatten_alpha(image, ""), header.orientation))


def _png_header(data: bytes) -> _Header:
    width, height, depth, mode = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or width < 1 or height < 1:
        raise Broken("it has no valid PNG header")
    if data.rfind(b"IEND") < 0:
        raise Broken("it is truncated")
    problem = ""
    if _PNG_MODES.get(mode) == "grey":
        problem = "it is a grey image"
    elif depth == 16:
        problem = "it is an image of 16 bits per channel"
    px_per_m = None
    at = data.find(b"pHYs", 0, 4096)
    if at > 0 and data[at + 12 : at + 13] == b"\x01":
        x, y = struct.unpack_from(">II", data, at + 4)
        px_per_m = (float(y), float(x))
    return _Header(width, height, problem, px_per_m=px_per_m)


def _jpeg_header(data: bytes) -> _Header:
    at, orientation, px_per_m = 2, 1, None
    frame: tuple[int, int, int, int] | None = None
    while True:
        if data[at] != 0xFF:
            raise Broken("its JPEG markers are broken")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in JPEG_FRAMES:
            frame = struct.unpack_from(">BHHB", body)
        elif marker == 0xE0 and body[:5] == b"JFIF\0":
            unit, x, y = struct.unpack_from(">BHH", body, 7)
            factor = {1: 1 / 0.0254, 2: 100.0}.get(unit)
            px_per_m = None if factor is None else (y * factor, x * factor)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = _exif_orientation(body[6:])
        elif marker == 0xDA:
            break
        at += 2 + max(length, 2)
    if frame is None:
        raise Broken("it has no JPEG frame")
    if data.find(b"\xff\xd9", at) < 0:
        raise Broken("it is truncated")
    depth, height, width, n_channels = frame
    if min(width, height) < 1:
        raise Broken("its size is zero")
    problem = ""
    if n_channels != 3:
        problem = (
            "it is a grey image" if n_channels == 1 else f"it has {n_channels} channels"
        )
    elif depth != 8:
        problem = f"it is an image of {depth} bits per channel"
    return _Header(width, height, problem, orientation, px_per_m)


def _exif_orientation(exif: bytes) -> int:
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (n_tags,) = struct.unpack_from(order + "H", exif, at)
        for index in range(min(n_tags, 256)):
            tag, _, _, value = struct.unpack_from(
                order + "HHIH", exif, at + 2 + 12 * index
            )
            if tag == 274 and value in ORIENTATIONS:
                return int(value)
    except struct.error:
        pass
    return 1


def _damaged(path: Path, problem: str) -> SlideError:
    return SlideError(
        path, f"the image is damaged ({problem}).", "Copy or export it again."
    )


def _too_large(path: Path, size: str) -> SlideError:
    return SlideError(
        path,
        f"it is too large for a flat image ({size}).",
        "Save it as a tiled pyramidal TIFF.",
    )
