"""Small slides of DICOM and of scanners only OpenSlide reads, and damage to them."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

import numpy as np
from damage import NUMBERS, one, put
from dicom_files import write_instance
from numpy.random import Generator
from scanner_files import write_bif, write_mrxs, write_scn

_LONG: Final = (b"OB", b"OW", b"OF", b"OD", b"SQ", b"UC", b"UN", b"UR", b"UT")
_ENDLESS: Final = 0xFFFFFFFF
_SERIES: Final = ("1.2.3.1", "1.2.3.2", "1.2.3.3")
_DIGITS: Final = re.compile(rb"(?<=[\"=])-?\d+(?:\.\d+)?(?=[\"\n])")


def write_dicom(path: Path, codec: str) -> None:
    """Write a folder with two levels of a whole-slide image."""
    path.mkdir()
    image = _noise(70, 90)
    for index, level in enumerate((image, np.ascontiguousarray(image[::2, ::2]))):
        write_instance(
            path / f"{index}.dcm", level, _SERIES, tile=32, codec=codec,
            spacing_mm=0.0005 * 2**index, SOPInstanceUID=f"1.2.3.4.{index}",
        )  # fmt: skip


def write_small_scn(path: Path) -> None:
    """Write a Leica SCN of two levels."""
    image = _noise(70, 90)
    write_scn(path, [image, image[::2, ::2]])


def write_small_bif(path: Path) -> None:
    """Write a Ventana BIF."""
    write_bif(path, _noise(128, 128))


def write_small_mrxs(path: Path) -> None:
    """Write a 3DHISTECH MRXS and the folder beside it."""
    write_mrxs(path, _noise(70, 90))


def damage_dicom(data: bytearray, rng: Generator) -> None:
    """Damage the length, the kind or the value of an element."""
    elements = _elements(data)
    if not elements:
        return
    at, kind, value_at, length = one(rng, elements)
    what = rng.random()
    if what < 0.2 and value_at - at == 12:
        put(data, "<", 4, at + 8, one(rng, (*NUMBERS, _ENDLESS)))
    elif what < 0.2:
        put(data, "<", 2, value_at - 2, one(rng, NUMBERS))
    elif what < 0.3:
        data[at + 4 : at + 6] = one(rng, (b"US", b"UL", b"SQ", b"OB", b"IS", b"??"))
    elif kind in (b"US", b"UL") and length in (2, 4):
        put(data, "<", length, value_at, one(rng, NUMBERS))
    elif kind in (b"IS", b"DS", b"UI", b"CS") and length:
        words = (str(one(rng, NUMBERS)).encode(), b"-1", b"1e308", b"\\\\", b"")
        data[value_at : value_at + length] = one(rng, words)[:length].ljust(length)
    elif 0 < length < len(data) - value_at:
        data[value_at + int(rng.integers(length))] = int(rng.integers(256))


def _elements(data: bytearray) -> list[tuple[int, bytes, int, int]]:
    """Return (place, kind, place of the value, length), those in sequences too."""
    found, at, in_pixels = [], 132, False
    while at + 12 <= len(data):
        group, element = struct.unpack_from("<HH", data, at)
        if group == 0xFFFE:  # an item, or the end of one
            (length,) = struct.unpack_from("<I", data, at + 4)
            at += 8 + (length if in_pixels else 0)
            continue
        kind = bytes(data[at + 4 : at + 6])
        head = 12 if kind in _LONG else 8
        form, length_at = ("<I", at + 8) if kind in _LONG else ("<H", at + 6)
        (length,) = struct.unpack_from(form, data, length_at)
        is_open = length == _ENDLESS or kind == b"SQ"
        found.append((at, kind, at + head, 0 if is_open else length))
        in_pixels = (group, element) == (0x7FE0, 0x0010) and length == _ENDLESS
        at += head + (0 if is_open else length)
    return found


def damage_words(data: bytearray, rng: Generator) -> None:
    """Put another number in place of one in quotes, or behind an equals sign."""
    places = list(_DIGITS.finditer(data))
    if places:
        place = one(rng, places)
        size = place.end() - place.start()
        words = (str(one(rng, NUMBERS)).encode(), b"-1", b"9" * size, b"nan", b"")
        # of the same length: what stands behind must stay where it is
        word = one(rng, words)[:size]
        data[place.start() : place.end()] = word.rjust(size, b"0")


def damage_mrxs(data: bytearray, rng: Generator) -> None:
    """Damage the numbers of the text file, or of the index."""
    if data.startswith(b"[GENERAL]"):
        damage_words(data, rng)
    elif data.startswith(b"01.02") and len(data) > 45:
        at = 37 + 4 * int(rng.integers((len(data) - 37) // 4))
        put(data, "<", 4, at, one(rng, (*NUMBERS, len(data))))


def _noise(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (height, width, 3), np.uint8)
