"""Name a slide by its content: cheap on gigabytes, the same under any file name.

Up to 256 MB every byte of the file counts.

Above that, a TIFF's fingerprint covers the size of the file, the form of every
level, the tables of where each of its tiles lies and how many bytes it has, the
bytes of the coarse levels (coarsest first, up to 256 MB) and the first 16 KB of
4096 tiles spread evenly over each level left. It sees any crop, re-encoding or
recolouring, any tile that got longer or shorter, and any change of pixels that
reached a coarse level. It does *not* see a change inside a fine tile that was
not sampled, keeps that tile's length in bytes and left the coarse levels as they
were (an uncompressed TIFF edited in place), nor anything in label, macro or
metadata.

An OME-Zarr folder above 256 MB is named by the path and size of every file, all
metadata, and the first 16 KB of 4096 of its files; a zip by the checksums in its
table of contents, which see every change.

A DICOM slide is named by its tiles: their form and bytes, whatever the header
around them and however its instances are called, so a header that an archive
rewrites leaves the name as it is. Above 256 MB fine levels are sampled as those
of a TIFF are.

What OpenSlide reads is named by every byte of its files up to 256 MB; above that
by their sizes, the first 16 KB of 4096 places spread evenly over them, the form
of every level and OpenSlide's own hash of the coarsest one.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from napari_her2.slides.orientation import UPRIGHT
from napari_her2.slides.shared_file import SharedFile

if TYPE_CHECKING:
    from napari_her2.slides.tiff_blocks import TiffBlocks

WHOLE_FILE_BYTES: Final = 256 << 20
_COARSE_BYTES: Final = 256 << 20
_N_SAMPLES: Final = 4096
_SAMPLE_BYTES: Final = 16 << 10
_PIECE_BYTES: Final = 4 << 20


def new_hash() -> Any:
    """Return the hash that fingerprints are made with."""
    return hashlib.blake2b(digest_size=20)


def as_fingerprint(digest: Any) -> str:
    """Write a hash as ``"blake2b:<hex>"``."""
    return f"blake2b:{digest.hexdigest()}"


def fingerprint_file(file: SharedFile) -> str:
    """Return the fingerprint of every byte of a file."""
    digest = new_hash()
    for offset in range(0, file.size, _PIECE_BYTES):
        digest.update(file.read(offset, min(_PIECE_BYTES, file.size - offset)))
    return as_fingerprint(digest)


def fingerprint_tiff(file: SharedFile, levels: Sequence[TiffBlocks]) -> str:
    """Return the fingerprint of a TIFF, of any size."""
    if file.size <= WHOLE_FILE_BYTES:
        return fingerprint_file(file)
    digest = new_hash()
    digest.update(str(file.size).encode())
    left = _COARSE_BYTES
    for level in reversed(levels):
        digest.update(str((level.shape, level.block_px)).encode())
        if level.orientation not in (None, UPRIGHT):
            digest.update(f"orientation {level.orientation}".encode())
        digest.update(level.offsets.astype("<i8").tobytes())
        digest.update(level.byte_counts.astype("<i8").tobytes())
        n_bytes = int(level.byte_counts.sum())
        is_whole = level is not levels[0] and n_bytes <= left
        left -= n_bytes if is_whole else 0
        spans = zip(level.offsets.tolist(), level.byte_counts.tolist(), strict=True)
        if is_whole:
            pieces = list(_joined(spans))
        else:
            table = list(spans)
            chosen = (table[index] for index in _spread(len(table)))
            pieces = [(start, min(size, _SAMPLE_BYTES)) for start, size in chosen]
        for start, size in pieces:
            digest.update(file.read(start, size))
    return as_fingerprint(digest)


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join tiles (offset, length) that follow each other in the file, up to 4 MB."""
    begin = length = 0
    for start, size in spans:
        if start == begin + length and length + size <= _PIECE_BYTES:
            length += size
            continue
        if length:
            yield begin, length
        begin, length = start, size
    if length:
        yield begin, length


class EncodedLevel(Protocol):
    """A level whose stored blocks can be read one by one."""

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""

    @property
    def n_bytes(self) -> int:
        """About how many bytes they have together."""

    @property
    def form(self) -> str:
        """What the bytes mean: size, block, codec."""

    def encoded(self, index: int) -> bytes:
        """Return one block as it is stored."""


def fingerprint_encoded(levels: Sequence[EncodedLevel]) -> str:
    """Return the fingerprint of levels (finest first) by their stored blocks.

    Raises
    ------
    SlideError
        If a block cannot be read.
    """
    digest = new_hash()
    left = _COARSE_BYTES
    is_small = sum(level.n_bytes for level in levels) <= WHOLE_FILE_BYTES
    for level in reversed(levels):
        digest.update(level.form.encode())
        is_whole = is_small or (level is not levels[0] and level.n_bytes <= left)
        left -= level.n_bytes if is_whole else 0
        chosen = range(level.n_blocks) if is_whole else _spread(level.n_blocks)
        for index in chosen:
            data = level.encoded(index)
            digest.update(f" {index} {len(data)} ".encode())
            digest.update(data if is_whole else data[:_SAMPLE_BYTES])
    return as_fingerprint(digest)


def fingerprint_files(files: Sequence[tuple[str, Path]], form: str) -> str:
    """Return the fingerprint of the files that make up one slide.

    Parameters
    ----------
    files
        What each file is called inside the slide, and where it is.
    form
        What else names the content where files are only sampled.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    sizes = [path.stat().st_size for _, path in files]
    is_small = sum(sizes) <= WHOLE_FILE_BYTES
    digest = new_hash()
    digest.update(b"" if is_small else form.encode())
    for (name, path), size in zip(files, sizes, strict=True):
        digest.update(f"{len(name)} {name} {size} ".encode())
        file = SharedFile(path)
        try:
            share = size / max(sum(sizes), 1)
            for offset, length in _pieces(size, share, is_small=is_small):
                digest.update(file.read(offset, length))
        finally:
            file.close()
    return as_fingerprint(digest)


def _pieces(size: int, share: float, *, is_small: bool) -> Iterable[tuple[int, int]]:
    """Return where to read (offset, length): all of a file, or an even sample."""
    if is_small:
        starts = np.arange(0, size, _PIECE_BYTES)
        return [(at, min(_PIECE_BYTES, size - at)) for at in starts.tolist()]
    length = min(_SAMPLE_BYTES, size)
    n_samples = max(1, round(_N_SAMPLES * share))
    n_samples = min(n_samples, -(-size // max(length, 1)))
    spread = np.linspace(0, size - length, n_samples)
    return [(int(at), length) for at in spread.tolist()]


def fingerprint_folder(folder: Path) -> str:
    """Return the fingerprint of all files below a folder, by relative path.

    Raises
    ------
    SlideError
        If a file cannot be read.
    """
    files = sorted(
        (Path(root, name) for root, _, names in os.walk(folder) for name in names),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    sizes = [path.lstat().st_size for path in files]
    is_small = sum(sizes) <= WHOLE_FILE_BYTES
    sampled = set(_spread(len(files)))
    digest = new_hash()
    for index, (path, size) in enumerate(zip(files, sizes, strict=True)):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{len(name)} {name} {size} ".encode())
        is_metadata = path.suffix == ".json" or path.name.startswith(".z")
        if is_small or is_metadata:
            digest.update(_head(path, size))
        elif index in sampled:
            digest.update(_head(path, min(size, _SAMPLE_BYTES)))
    return as_fingerprint(digest)


def fingerprint_zip(path: Path) -> str:
    """Return the fingerprint of a zip: every byte, or its table of contents."""
    file = SharedFile(path)
    try:
        if file.size <= WHOLE_FILE_BYTES:
            return fingerprint_file(file)
    finally:
        file.close()
    digest = new_hash()
    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            digest.update(f"{info.filename} {info.file_size} {info.CRC} ".encode())
    return as_fingerprint(digest)


def _head(path: Path, size: int) -> bytes:
    if size == 0:
        return b""
    file = SharedFile(path)
    try:
        return file.read(0, size)
    finally:
        file.close()


def _spread(count: int) -> list[int]:
    """Return up to 4096 indices spread evenly over ``count``."""
    spread = np.linspace(0, max(count - 1, 0), min(count, _N_SAMPLES))
    return sorted({round(at) for at in spread.tolist()})
