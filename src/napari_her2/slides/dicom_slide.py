"""DICOM whole-slide images, tiled full and sparse, through wsidicom.

wsidicom knows how the instances of a series make up a pyramid and where each
tile lies; its reads take a lock per file, so any thread may ask. What is kept
decoded is kept here and not there.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.codestream import announced_px
from napari_her2.slides.dicom_header import (
    Instance,
    broken,
    quiet,
    read_icc,
)
from napari_her2.slides.dicom_series import find_levels
from napari_her2.slides.extras import load_extra
from napari_her2.slides.fingerprint import fingerprint_encoded
from napari_her2.slides.read_gate import ReadGate
from napari_her2.slides.scale import MAX_MPP, square_mpp
from napari_her2.slides.source import SlideSource, shrinking, tried

logging.getLogger("wsidicom").addHandler(logging.NullHandler())


class DicomBlocks:
    """The tiles of one level; a tile that was not scanned is white.

    Where a level has several focal planes or optical paths, the plane nearest
    to the glass and the first path are read.
    """

    def __init__(self, path: Path, gate: ReadGate, image: Any, point: Any) -> None:
        self._path = path
        self._gate = gate
        self._image = image
        self._point = point
        self._at = (image.default_z, image.default_path)
        self._is_codestream = bool(image.transfer_syntax.is_encapsulated)
        size, tile = image.image_size, image.tile_size
        self.shape: tuple[int, int] = (int(size.height), int(size.width))
        self.block_px: tuple[int, int] = (int(tile.height), int(tile.width))

    @property
    def n_blocks(self) -> int:
        """Number of tiles, those that were not scanned included."""
        rows, cols = self._n_tiles
        return rows * cols

    @property
    def n_bytes(self) -> int:
        """Bytes of the files that hold this level."""
        return sum(Path(str(file)).stat().st_size for file in self._image.files)

    @property
    def form(self) -> str:
        """What the bytes of a tile mean, as text."""
        kind = (
            str(self._image.transfer_syntax),
            self._image.photometric_interpretation,
        )
        return str((self.shape, self.block_px, *kind))

    @property
    def _n_tiles(self) -> tuple[int, int]:
        rows, cols = (
            -(-full // block)
            for full, block in zip(self.shape, self.block_px, strict=True)
        )
        return rows, cols

    def encoded(self, index: int) -> bytes:
        """Return a tile as it is stored, empty where it was not scanned.

        Raises
        ------
        SlideError
            If it cannot be read.
        """
        row, col = divmod(index, self._n_tiles[1])
        with self._gate.reading():
            try:
                point = self._point(col, row)
                if self._image.is_sparse(point, *self._at):
                    return b""
                data: bytes = self._image.get_encoded_tile(point, *self._at)
            except Exception as error:
                raise self._bad_block(index, error) from error
        wanted = 1 if self._is_codestream else 3 * math.prod(self.block_px)
        if len(data) < wanted:
            raise self._bad_block(index, f"it has {len(data)} bytes")
        return data

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB, cut at the edge.

        Raises
        ------
        SlideError
            If the block cannot be read or decoded.
        """
        index = row * self._n_tiles[1] + col
        height = min(self.block_px[0], self.shape[0] - row * self.block_px[0])
        width = min(self.block_px[1], self.shape[1] - col * self.block_px[1])
        data = self.encoded(index)
        if not data:
            return np.full((height, width, 3), 255, np.uint8)
        announced = announced_px(data) if self._is_codestream else None
        if announced is not None and announced > 4 * math.prod(self.block_px):
            raise self._bad_block(index, f"it announces {announced} pixels")
        try:
            block = np.asarray(self._image.decoder.decode(data))
        except Exception as error:
            raise self._bad_block(index, error) from error
        if block.dtype != np.uint8 or block.shape != (*self.block_px, 3):
            raise self._bad_block(index, f"it is {block.dtype} {block.shape}")
        return np.ascontiguousarray(block[:height, :width])

    def _bad_block(self, index: int, problem: object) -> SlideError:
        is_error = isinstance(problem, BaseException)
        said = type(problem).__name__ if is_error else problem
        return SlideError(
            self._path,
            f"block {index} is damaged ({said}).",
            "Copy or export the file again.",
        )


def open_dicom(path: Path) -> SlideSource:
    """Open the slide that a folder of instances, or any one of them, belongs to.

    Raises
    ------
    SlideError
        If wsidicom is not installed, or it is damaged, no RGB slide, or coarser
        than a slide is scanned.
    """
    wsidicom = load_extra(path, "wsidicom", "dicom", "DICOM slides")
    instances = find_levels(path)
    try:
        slide = _open(wsidicom, instances)
    except Exception as error:
        raise broken(path, error) from error
    gate = ReadGate(path, slide.close)
    try:
        _check_complete(path, slide, instances)
        base = slide.pyramid.base_level.default_instance.image_data
        mpp = _mpp(path, base.pixel_spacing)
        levels = _levels(path, gate, slide.pyramid)
        icc = read_icc(Path(str(base.files[0])))
        fingerprint = fingerprint_encoded(levels)
    except SlideError:
        gate.close()
        raise
    except Exception as error:
        gate.close()
        raise broken(path, error) from error
    return SlideSource(levels, mpp, fingerprint, gate.close, icc=icc)


def _open(wsidicom: Any, instances: Sequence[Instance]) -> Any:
    settings = wsidicom.Settings(
        strict_tile_size_check=False,
        decoded_frame_cache_size=0,
        encoded_frame_cache_size=0,
    )
    with quiet(), wsidicom.use_settings(settings):
        source = wsidicom.file.WsiDicomFileSource.open([one.path for one in instances])
        try:
            return wsidicom.WsiDicom(source, settings=settings)
        except BaseException:
            source.close()
            raise


def _check_complete(path: Path, slide: Any, instances: Sequence[Instance]) -> None:
    """Refuse a slide of which wsidicom left out a file: a level might be missing."""
    used = {
        Path(str(file)).resolve()
        for pyramid in slide.pyramids
        for level in pyramid
        for instance in level.instances.values()
        for file in instance.image_data.files
    }
    if left_out := sum(one.path.resolve() not in used for one in instances):
        raise SlideError(
            path,
            f"{left_out} of its {len(instances)} files cannot be read.",
            "They may be damaged; copy or export the whole series again.",
        )


def _mpp(path: Path, spacing: Any) -> float | None:
    """Return µm/px; unlike a resolution tag, pixel spacing is no mere default."""
    if spacing is None:
        return None
    y, x = 1e3 * spacing.height, 1e3 * spacing.width
    if min(y, x) > MAX_MPP:
        raise SlideError(
            path,
            f"its finest level has {y:g} µm/px, an overview of the glass.",
            "Open the series that holds the scan at full resolution.",
        )
    return square_mpp(path, round(y, 9), round(x, 9))


def _levels(path: Path, gate: ReadGate, pyramid: Any) -> list[DicomBlocks]:
    """Return the levels, each strictly smaller; one block of each is decoded."""
    from wsidicom.geometry import Point

    return tried(
        shrinking(
            DicomBlocks(path, gate, level.default_instance.image_data, Point)
            for level in pyramid
        )
    )
