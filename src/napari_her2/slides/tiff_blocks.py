"""Blocks of one TIFF page, read and decoded without locks.

tifffile finds the pages; from then on each block is one positional read and one
call of the decoder, which releases the interpreter. tifffile's own page access
is not thread-safe and its zarr view costs about half as much again per block.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.broken import kind_of
from napari_her2.slides.codestream import announced_px
from napari_her2.slides.orientation import ORIENTATIONS, UPRIGHT
from napari_her2.slides.shared_file import SharedFile
from napari_her2.slides.source import shrinking, tried

MAX_SIDE_PX: Final = 1 << 20
MAX_BLOCKS: Final = 1 << 22
MAX_BLOCK_BYTES: Final = 1 << 30

_JPEG = {6, 7, 34892, 33007}
_APERIO_YCBCR: Final = 33003
_RGB, _YCBCR = 2, 6
_PHOTOMETRIC = {0: "a grey image", 1: "a grey image", 3: "a palette image"}
_PHOTOMETRIC |= {4: "a mask", 5: "a CMYK image", 8: "a CIELab image"}


class TiffBlocks:
    """The blocks (tiles or strips) of one RGB page.

    Parameters
    ----------
    file
        The open file; reads come from here and not from tifffile.
    page
        A page or frame of the same file, in any open ``tifffile.TiffFile``.

    Attributes
    ----------
    orientation : int or None
        How the page is stored, 1 to 8; None where it does not say. Blocks come as
        they are stored.

    Raises
    ------
    SlideError
        If the page is no 8-bit RGB image, has absurd sizes, or its blocks lie
        outside the file.
    """

    def __init__(self, file: SharedFile, page: Any) -> None:
        key = page.keyframe
        self._file = file
        self._check_form(key)
        self.shape: tuple[int, int] = (int(key.imagelength), int(key.imagewidth))
        height, width = (
            (key.tilelength, key.tilewidth)
            if key.is_tiled
            else (min(key.rowsperstrip, self.shape[0]), self.shape[1])
        )
        self.block_px: tuple[int, int] = (int(height), int(width))
        self._check_size(key)
        self.orientation = self._orientation(key)
        self._n_cols = -(-self.shape[1] // width)
        self._n_blocks = self._n_cols * -(-self.shape[0] // height)
        self._planes = key.samplesperpixel if key.planarconfig == 2 else 1
        self.offsets = np.asarray(page.dataoffsets, np.int64)
        self.byte_counts = np.asarray(page.databytecounts, np.int64)
        self._check_table()
        self._decode = key.decode
        self._args: dict[str, bytes | None] = {}
        if key.compression in _JPEG:
            self._args = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
        self._is_ycbcr = key.compression == _APERIO_YCBCR
        self._alpha = _alpha_kind(key)

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge; a block left out is white.

        Raises
        ------
        SlideError
            If the block cannot be read or decoded.
        """
        index = row * self._n_cols + col
        height = min(self.block_px[0], self.shape[0] - row * self.block_px[0])
        width = min(self.block_px[1], self.shape[1] - col * self.block_px[1])
        planes = []
        for plane in range(self._planes):
            segment = self._segment(index + plane * self._n_blocks)
            if segment is None:
                return np.full((height, width, 3), 255, np.uint8)
            planes.append(segment)
        block = planes[0] if self._planes == 1 else np.concatenate(planes, axis=2)
        block = block[:height, :width]
        if block.shape[:2] != (height, width) or block.shape[2] < 3:
            raise self._bad_block(index, f"it is {block.shape}")
        if self._is_ycbcr:
            block = ycbcr_to_rgb(block)
        return flatten_alpha(block, self._alpha)

    def _segment(self, index: int) -> NDArray[np.uint8] | None:
        size = int(self.byte_counts[index])
        if size == 0:
            return None
        data = self._file.read(int(self.offsets[index]), size)
        announced = announced_px(data)
        if announced is not None and announced > 4 * math.prod(self.block_px):
            raise self._bad_block(index, f"it announces {announced} pixels")
        try:
            segment: NDArray[np.uint8] = self._decode(data, index, **self._args)[0][0]
        except MemoryError as error:
            raise self._bad_block(index, "it does not fit into memory") from error
        except Exception as error:
            raise self._bad_block(index, kind_of(error)) from error
        return segment

    def _bad_block(self, index: int, problem: str) -> SlideError:
        return SlideError(
            self._file.path,
            f"block {index} is damaged ({problem}).",
            "Copy or export the file again.",
        )

    def _refuse(self, what: str) -> SlideError:
        return SlideError(
            self._file.path,
            f"it is {what}.",
            "Only 8-bit RGB brightfield slides can be read.",
        )

    def _check_form(self, key: Any) -> None:
        photometric = int(key.photometric)
        if key.dtype != np.uint8:
            kind = {"f": "a floating-point", "u": "an"}.get(
                "" if key.dtype is None else key.dtype.kind, "a"
            )
            raise self._refuse(f"{kind} image of {key.bitspersample} bits per channel")
        if photometric not in (_RGB, _YCBCR):
            raise self._refuse(
                _PHOTOMETRIC.get(photometric, f"of photometric kind {photometric}")
            )
        if key.samplesperpixel not in (3, 4) or key.imagedepth != 1:
            raise self._refuse(f"an image of {key.samplesperpixel} channels")
        if photometric == _YCBCR and key.compression not in _JPEG:
            raise self._refuse("YCbCr without JPEG, which is not supported")

    def _orientation(self, key: Any) -> int | None:
        tag = key.tags.get(274)
        if tag is None:
            return None
        value = tag.value or UPRIGHT  # some writers leave it 0
        if value not in ORIENTATIONS:
            raise SlideError(
                self._file.path,
                f"its orientation tag makes no sense ({value}).",
                "Export it upright (orientation 1).",
            )
        return int(value)

    def _check_size(self, key: Any) -> None:
        height, width = self.shape
        block = math.prod(self.block_px)
        if min(height, width, block) < 1 or max(height, width) > MAX_SIDE_PX:
            raise SlideError(
                self._file.path,
                f"its size of {width} × {height} px makes no sense.",
                "The file may be damaged; copy or export it again.",
            )
        if block * key.samplesperpixel > MAX_BLOCK_BYTES:
            raise SlideError(
                self._file.path,
                f"its {width} × {height} px are stored in one piece.",
                "Save it as a tiled pyramidal TIFF.",
            )

    def _check_table(self) -> None:
        wanted = self._n_blocks * self._planes
        if wanted > MAX_BLOCKS or not (
            len(self.offsets) >= wanted <= len(self.byte_counts)
        ):
            raise SlideError(
                self._file.path,
                f"it announces {wanted} blocks and lists {len(self.offsets)}.",
                "The file may be damaged; copy or export it again.",
            )
        ends = self.offsets[:wanted] + self.byte_counts[:wanted]
        is_bad = (self.offsets[:wanted] < 0) | (self.byte_counts[:wanted] < 0)
        if bool(np.any(is_bad | (ends > self._file.size))):
            raise SlideError(
                self._file.path,
                "some of its blocks lie behind the end of the file.",
                "The file is truncated; copy or export it again.",
            )


def _alpha_kind(key: Any) -> str:
    """Return "" for none, "straight", or "multiplied" (already times alpha)."""
    if key.samplesperpixel < 4:
        return ""
    extra = tuple(int(sample) for sample in key.extrasamples)
    return "multiplied" if extra[:1] == (1,) else "straight"


def flatten_alpha(image: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Lay an RGBA image over white; an RGB image comes back as it is."""
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:4].astype(np.uint16)
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(image[..., :3])
    colour = image[..., :3].astype(np.uint16)
    if kind != "multiplied":
        colour = (colour * alpha + 127) // 255
    flat: NDArray[np.uint8] = np.minimum(colour + (255 - alpha), 255).astype(np.uint8)
    return flat


def ycbcr_to_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert full-range YCbCr (ITU-R BT.601, as JPEG uses it) to RGB."""
    y, cb, cr = (image[..., i].astype(np.float32) for i in range(3))
    cb -= 128
    cr -= 128
    rgb = np.stack(
        [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2
    )
    converted: NDArray[np.uint8] = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return converted


def read_pages(file: SharedFile, pages: list[Any]) -> list[TiffBlocks]:
    """Return the levels of a slide, each strictly smaller than the one before.

    One block of every level is decoded.
    """
    return tried(shrinking(TiffBlocks(file, page) for page in pages))
