"""Walk a TIFF's directories before a library trusts them.

The chain of directories (IFDs) is data: it may point at itself, out of the file
or announce more than there is. This walk reads 12 or 20 bytes per tag, needs no
memory to speak of, and names what is wrong.
"""

from __future__ import annotations

import struct

from napari_her2.core.errors import SlideError
from napari_her2.slides.shared_file import SharedFile

MAX_IFDS = 2048
MAX_TAGS = 1024

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4}
_TYPE_BYTES |= {12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SUB_IFDS = 330
_TABLES = {273, 279, 324, 325, 347, _SUB_IFDS}
"""Tags whose value must lie in the file: offsets, byte counts, JPEG tables."""


def is_tiff(head: bytes) -> bool:
    """Whether these first bytes are those of a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def scan_tiff(file: SharedFile) -> None:
    """Check the chain of directories of a file that starts like a TIFF.

    Raises
    ------
    SlideError
        If the chain is cyclic, too long, or leads out of the file.
    """
    head = file.read(0, min(16, file.size)).ljust(16, b"\0")
    order = "<" if head[:2] == b"II" else ">"
    if head[:4] in (b"II+\0", b"MM\0+"):
        layout = _Layout(order, "Q", "HHQ8s", "Q")
        first = struct.unpack_from(order + "Q", head, 8)[0]
    elif file.path.suffix.lower() == ".ndpi":
        # classic tags, but 64-bit links between the directories
        layout = _Layout(order, "H", "HHI4s", "Q")
        first = struct.unpack_from(order + "Q", head, 4)[0]
    else:
        layout = _Layout(order, "H", "HHI4s", "I")
        first = struct.unpack_from(order + "I", head, 4)[0]
    seen: set[int] = set()
    waiting = [first]
    while waiting:
        offset = waiting.pop()
        chain: set[int] = set()
        # SubIFDs are often listed in a tag and linked to each other as well
        while offset and (offset in chain or offset not in seen):
            if offset in chain:
                raise _broken(file, "its directories point in a circle")
            if len(seen) >= MAX_IFDS:
                raise _broken(file, f"it has more than {MAX_IFDS} directories")
            seen.add(offset)
            chain.add(offset)
            offset, sub_ifds = layout.read_ifd(file, offset)
            waiting.extend(sub_ifds)
    if not seen:
        raise _broken(file, "it has no directory")


class _Layout:
    """Where things stand in one flavour of directory."""

    def __init__(self, order: str, n_tags: str, tag: str, link: str) -> None:
        self._n_tags = struct.Struct(order + n_tags)
        self._tag = struct.Struct(order + tag)
        self._link = struct.Struct(order + link)
        self._order = order
        self._is_ndpi = link == "Q" and tag == "HHI4s"

    def read_ifd(self, file: SharedFile, offset: int) -> tuple[int, list[int]]:
        """Return the offset of the next directory and those of its SubIFDs."""
        (n_tags,) = self._n_tags.unpack(_read(file, offset, self._n_tags.size))
        if not 0 < n_tags <= MAX_TAGS:
            raise _broken(file, f"a directory announces {n_tags} tags")
        offset += self._n_tags.size
        data = _read(file, offset, n_tags * self._tag.size + self._link.size)
        sub_ifds: list[int] = []
        for code, kind, count, value in self._tag.iter_unpack(data[: -self._link.size]):
            if code not in _TABLES or self._is_ndpi:
                continue
            n_bytes = _TYPE_BYTES.get(kind, 1) * count
            if n_bytes > len(value):
                start = self._number(value)
                if start + n_bytes > file.size:
                    raise _broken(file, f"its tag {code} leads out of the file")
            if code == _SUB_IFDS:
                if count > MAX_IFDS:
                    raise _broken(file, f"it has more than {MAX_IFDS} directories")
                if n_bytes > len(value):
                    value = file.read(start, n_bytes)
                size = _TYPE_BYTES.get(kind, 1)
                sub_ifds += [
                    self._number(value[at : at + size])
                    for at in range(0, n_bytes, size)
                ]
        return self._link.unpack_from(data, n_tags * self._tag.size)[0], sub_ifds

    def _number(self, value: bytes) -> int:
        return int.from_bytes(value, "little" if self._order == "<" else "big")


def _read(file: SharedFile, offset: int, size: int) -> bytes:
    if offset + size > file.size:
        raise _broken(file, "its directories lead out of the file")
    return file.read(offset, size)


def _broken(file: SharedFile, problem: str) -> SlideError:
    return SlideError(
        file.path,
        f"it is a broken TIFF: {problem}.",
        "The file may be truncated; copy or export it again.",
    )
