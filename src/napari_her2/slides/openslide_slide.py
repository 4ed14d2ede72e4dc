"""Formats that OpenSlide knows and our own readers do not: MRXS, SCN, BIF and more.

OpenSlide reads any box of a level from any thread. Boxes are asked for on a fixed
grid, so a pixel comes out the same whoever asks: where a level's factor is not
whole, OpenSlide interpolates, and how depends on where the box begins.

After one failed read an OpenSlide handle refuses everything; it is then opened
again, so that one damaged tile does not take the rest of the slide with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.broken import kind_of
from napari_her2.slides.extras import load_extra
from napari_her2.slides.fingerprint import fingerprint_files
from napari_her2.slides.openslide_files import files_of
from napari_her2.slides.read_gate import ReadGate
from napari_her2.slides.scale import square_mpp
from napari_her2.slides.source import SlideSource, shrinking, tried
from napari_her2.slides.tiff_blocks import MAX_SIDE_PX

_BLOCK_PX: Final = 512
_MAX_BLOCK_PX: Final = 2048
_TILE_CACHE_BYTES: Final = 16 << 20
"""Tiles OpenSlide keeps for blocks that share them; our own cache holds the rest."""


class _Handle:
    """An OpenSlide handle that is replaced once it has failed."""

    def __init__(self, openslide: Any, path: Path) -> None:
        self._openslide = openslide
        self._path = path
        self._lock = threading.Lock()
        self._cache = openslide.OpenSlideCache(_TILE_CACHE_BYTES)
        self.gate = ReadGate(path, lambda: self.slide.close())
        self.slide = self._open()

    def _open(self) -> Any:
        slide = self._openslide.OpenSlide(self._path)
        slide.set_cache(self._cache)
        return slide

    def read(self, read: Callable[[Any], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Read through the handle; one that fails is replaced.

        Raises
        ------
        OpenSlideError
            If this read failed and does so again with a new handle.
        """
        with self.gate.reading():
            slide = self.slide
            try:
                return read(slide)
            except self._openslide.OpenSlideError:
                with self._lock:
                    # another thread's bad tile may have spoiled the handle; the
                    # old one is freed when the last read through it is over
                    if self.slide is slide:
                        self.slide = self._open()
                    slide = self.slide
                try:
                    return read(slide)
                except self._openslide.OpenSlideError:
                    with self._lock:
                        if self.slide is slide:
                            self.slide = self._open()
                    raise


class OpenSlideBlocks:
    """Blocks of one level; what was not scanned has the slide's background colour."""

    def __init__(self, path: Path, handle: _Handle, index: int) -> None:
        self._path = path
        self._handle = handle
        self._index = index
        slide = handle.slide
        width, height = slide.level_dimensions[index]
        self.shape: tuple[int, int] = (height, width)
        self.block_px: tuple[int, int] = (
            _block_px(slide.properties, index, "height"),
            _block_px(slide.properties, index, "width"),
        )
        self._downsample = float(slide.level_downsamples[index])
        self._background = _background(slide.properties)
        if not 0 < min(self.shape) <= max(self.shape) <= MAX_SIDE_PX:
            raise SlideError(
                path,
                f"its size of {width} × {height} px makes no sense.",
                "The file may be damaged; copy or export it again.",
            )

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge.

        Raises
        ------
        SlideError
            If the block cannot be read or decoded.
        """
        top, left = row * self.block_px[0], col * self.block_px[1]
        height = min(self.block_px[0], self.shape[0] - top)
        width = min(self.block_px[1], self.shape[1] - left)
        corner = (round(left * self._downsample), round(top * self._downsample))
        try:
            return self._handle.read(
                lambda slide: self._flat(
                    slide.read_region(corner, self._index, (width, height))
                )
            )
        except SlideError:
            raise
        except Exception as error:
            raise SlideError(
                self._path,
                f"a block is damaged ({kind_of(error)}).",
                "Copy or export the file again.",
            ) from error

    def _flat(self, region: Any) -> NDArray[np.uint8]:
        """Lay an RGBA picture over the background."""
        image = np.asarray(region)
        alpha = image[..., 3:]
        if alpha.min(initial=255) == 255:
            return np.ascontiguousarray(image[..., :3])
        share = alpha.astype(np.uint16)
        mixed = image[..., :3] * share + self._background * (255 - share) + 127
        flat: NDArray[np.uint8] = (mixed // 255).astype(np.uint8)
        return flat


def _block_px(properties: Any, index: int, side: str) -> int:
    """Return the tile of the file, doubled to at least 512 px; 512 if it is odd."""
    text = properties.get(f"openslide.level[{index}].tile-{side}", "")
    tile = int(text) if text.isdecimal() else 0
    if not 64 <= tile <= _MAX_BLOCK_PX:
        return _BLOCK_PX
    return tile * -(-_BLOCK_PX // tile) if tile < _BLOCK_PX else tile


def _background(properties: Any) -> NDArray[np.uint16]:
    try:
        rgb = bytes.fromhex(properties.get("openslide.background-color", "FFFFFF"))
    except ValueError:
        rgb = b""
    return np.array(list(rgb) if len(rgb) == 3 else [255] * 3, np.uint16)


def open_openslide(path: Path) -> SlideSource:
    """Open a slide with OpenSlide.

    Raises
    ------
    SlideError
        If OpenSlide is not installed, does not know the format, or the slide is
        damaged.
    """
    openslide = load_extra(
        path, "openslide", "openslide", "Slides in the format of this scanner"
    )
    if openslide.OpenSlide.detect_format(path) is None:
        raise SlideError(
            path,
            "OpenSlide does not know its format, or a part of it is missing.",
            "Copy the whole slide again, or convert it to OME-TIFF.",
        )
    try:
        handle = _Handle(openslide, path)
    except Exception as error:
        raise _broken(path, error) from error
    try:
        levels = _levels(path, handle)
        properties = handle.slide.properties
        mpp = square_mpp(path, *(_mpp(properties, axis) for axis in "yx"))
        form = str(
            [(level.shape, level.block_px) for level in levels]
            + [properties.get("openslide.quickhash-1", "")]
        )
        fingerprint = fingerprint_files(files_of(path), form)
        icc = handle.slide.read_region((0, 0), 0, (1, 1)).info.get("icc_profile")
    except SlideError:
        handle.gate.close()
        raise
    except Exception as error:
        handle.gate.close()
        raise _broken(path, error) from error
    return SlideSource(levels, mpp, fingerprint, handle.gate.close, icc=icc)


def _levels(path: Path, handle: _Handle) -> list[OpenSlideBlocks]:
    """Return the levels, each strictly smaller; one block of each is decoded."""
    count = handle.slide.level_count
    return tried(shrinking(OpenSlideBlocks(path, handle, i) for i in range(count)))


def _mpp(properties: Any, axis: str) -> float | None:
    try:
        return float(properties.get(f"openslide.mpp-{axis}", ""))
    except ValueError:
        return None


def _broken(path: Path, error: Exception) -> SlideError:
    return SlideError(
        path,
        f"OpenSlide cannot read it ({kind_of(error)}).",
        "Copy or export it again.",
    )
