"""Find the ICC profile inside a JPEG or PNG file."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from napari_her2.slides.colour import MAX_ICC_BYTES

_MARK: Final = b"ICC_PROFILE\0"
_END_OF_HEADER: Final = (0xDA, 0xD9)


def flat_icc(data: bytes) -> bytes | None:
    """Return the ICC profile of a PNG or JPEG file, None where it has none.

    A profile that is cut off comes back as it is, to be refused where it is used;
    one above 4 MB is taken for damage, and is none.
    """
    try:
        return _png_icc(data) if data.startswith(b"\x89PNG") else _jpeg_icc(data)
    except (struct.error, IndexError):
        return None


def _jpeg_icc(data: bytes) -> bytes | None:
    parts: dict[int, bytes] = {}
    at = 2
    while data[at] == 0xFF and data[at + 1] not in _END_OF_HEADER:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE2 and body.startswith(_MARK):
            parts[body[len(_MARK)]] = body[len(_MARK) + 2 :]
        at += 2 + max(length, 2)
    profile = b"".join(parts[number] for number in sorted(parts))
    return profile if 0 < len(profile) <= MAX_ICC_BYTES else None


def _png_icc(data: bytes) -> bytes | None:
    at = 8
    while data[at + 4 : at + 8] not in (b"IDAT", b"IEND"):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"iCCP":
            _, _, packed = data[at + 8 : at + 8 + length].partition(b"\0")
            inflate = zlib.decompressobj()
            try:
                profile = inflate.decompress(packed[1:], MAX_ICC_BYTES)
            except zlib.error:
                return b"damaged"
            return None if inflate.unconsumed_tail else profile
        at += 12 + length
    return None
