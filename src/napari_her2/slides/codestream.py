"""Read the size that a compressed block announces, before it is decoded.

A tile of a few hundred bytes may call itself 65535 px wide; a decoder believes
that, and takes gigabytes and a minute to find out.
"""

from __future__ import annotations

import struct
from typing import Final

JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Markers that begin a JPEG or JPEG-LS frame; the three left out are tables."""


def announced_px(data: bytes) -> int | None:
    """Return height times width as a JPEG, JPEG-LS or JPEG 2000 block announces them.

    None where it is another codec or has no readable header.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg_px(data)
        at = data.find(b"\xff\x4f\xff\x51", 0, 512)
        if at >= 0:
            x1, y1, x0, y0 = struct.unpack_from(">IIII", data, at + 8)
            return int(max(x1 - x0, 0) * max(y1 - y0, 0))
    except (struct.error, IndexError):
        pass
    return None


def _jpeg_px(data: bytes) -> int | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return int(height) * int(width)
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + max(length, 2)
    return None
