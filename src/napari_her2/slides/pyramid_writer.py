"""Write a pyramidal OME-TIFF block by block, in memory that does not grow.

Level 0 is encoded and written as it is computed. Each coarser level keeps one
row of tiles in memory and its encoded tiles in an unnamed file beside the
target, which are copied in once level 0 is complete: the OME-TIFF layout wants
the levels one after another.
"""

from __future__ import annotations

import math
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.slides.halving import halve, pyramid_shapes

Compression = Literal["jpeg", "zlib"]
ReadBlock = Callable[[BoxPx], NDArray[np.uint8]]

SYNTHETIC_MARK = "SYNTHETIC"
"""First word of the OME image name of a computed image."""


def write_pyramid(
    path: Path | str,
    level0_shape: tuple[int, int],
    mpp: float | None,
    read_block: ReadBlock,
    *,
    tile_px: int = 512,
    compression: Compression = "jpeg",
    quality: int = 85,
    subsampling: Literal["420", "444"] = "420",
    description: str = "",
    synthetic: bool = False,
    name: str = "",
) -> None:
    """Write an RGB slide as a tiled OME-TIFF with its levels as SubIFDs.

    Parameters
    ----------
    path
        Target; a file that is there is replaced once the new one is complete.
    level0_shape
        (height, width) in pixels.
    mpp
        µm per pixel of level 0; None writes no scale.
    read_block
        Called once for each tile of level 0, row by row from the top left;
        returns uint8 of shape (height, width, 3) for the box asked for.
    tile_px
        Side of a tile, a multiple of 16.
    compression, quality, subsampling
        ``"jpeg"`` with quality 1–100 and chroma ``"420"`` or ``"444"``, or
        ``"zlib"``, which loses nothing.
    description
        Text kept in the OME description.
    synthetic
        Mark the image as computed: it is then never taken for a real slide.
    name
        Name of the image.

    Raises
    ------
    StorageError
        If the file cannot be written (disk full, no permission). Nothing is left
        behind and a file that was there before is untouched.
    UsageError
        If shape, scale or tile make no sense.
    """
    path = Path(path)
    _check(level0_shape, mpp, tile_px)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    encode = _encoder(compression, quality, subsampling)
    ome = _ome_metadata(mpp, name, description, synthetic)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as spool:
            _write_levels(
                part,
                _Rows(level0_shape, tile_px, encode, spool),
                read_block,
                _page_options(mpp, tile_px, compression, subsampling),
                ome,
            )
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(
            path,
            f"the slide cannot be written ({error.strerror or error}).",
            "Free space on that disk or choose another folder, then try again.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _check(shape: tuple[int, int], mpp: float | None, tile_px: int) -> None:
    if min(shape) < 1:
        raise UsageError(f"A slide of shape {shape} has no pixel.", "Check the region.")
    if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
        raise UsageError(f"{mpp} µm/px is no scale.", "Give a positive number.")
    if tile_px < 16 or tile_px % 16:
        raise UsageError(f"A tile of {tile_px} px cannot be written.", "Use 512.")


def _write_levels(
    part: Path,
    rows: _Rows,
    read_block: ReadBlock,
    options: dict[str, Any],
    ome: dict[str, Any],
) -> None:
    shapes = rows.shapes
    n_bytes = 4 * math.prod(shapes[0])  # RGB and a third more for the levels
    with (
        part.open("wb+") as file,
        tifffile.TiffWriter(file, bigtiff=n_bytes > 2**31, ome=True) as tiff,
    ):
        tiff.write(
            rows.encode_all(read_block),
            shape=(*shapes[0], 3),
            subifds=len(shapes) - 1,
            metadata=ome,
            **options,
        )
        for level in range(1, len(shapes)):
            tiff.write(
                rows.encoded(level),
                shape=(*shapes[level], 3),
                subfiletype=1,
                metadata=None,
                **(options | _resolution(options, 2**level)),
            )


@dataclass
class _Level:
    """What one level holds between two rows of tiles."""

    shape: tuple[int, int]
    waiting: list[NDArray[np.uint8]] = field(default_factory=list)
    tiles: list[tuple[int, int]] = field(default_factory=list)


class _Rows:
    """Turns rows of level-0 tiles into encoded tiles of every level."""

    def __init__(
        self,
        shape: tuple[int, int],
        tile_px: int,
        encode: Callable[[NDArray[np.uint8]], bytes],
        spool: IO[bytes],
    ) -> None:
        self.shapes = pyramid_shapes(shape)
        self._tile = tile_px
        self._encode = encode
        self._spool = spool
        self._levels = [_Level(shape) for shape in self.shapes]

    def encode_all(self, read_block: ReadBlock) -> Iterator[bytes]:
        """Yield the encoded tiles of level 0, building the others on the way."""
        whole = BoxPx.of_shape(self.shapes[0])
        for y0 in range(0, whole.y1, self._tile):
            encoded, halves = [], []
            for x0 in range(0, whole.x1, self._tile):
                box = BoxPx(y0, x0, y0 + self._tile, x0 + self._tile).intersect(whole)
                block = np.asarray(read_block(box))
                if block.shape != (*box.shape, 3) or block.dtype != np.uint8:
                    raise UsageError(
                        f"A block of {block.dtype} {block.shape} came for {box}.",
                        "read_block must return uint8 (height, width, 3).",
                    )
                encoded.append(self._encode(self._whole_tile(block)))
                halves.append(halve(block))
            # before the yield: nobody asks for more after the last tile
            if len(self._levels) > 1:
                self._add_rows(1, np.concatenate(halves, axis=1))
            yield from encoded

    def _add_rows(self, index: int, rows: NDArray[np.uint8]) -> None:
        """Take the next rows of a level; write them once they fill its tiles."""
        level = self._levels[index]
        level.waiting.append(rows)
        n_waiting = sum(len(part) for part in level.waiting)
        done_rows = len(level.tiles) // -(-level.shape[1] // self._tile) * self._tile
        if n_waiting < self._tile and done_rows + n_waiting < level.shape[0]:
            return
        row = np.concatenate(level.waiting)
        level.waiting.clear()
        for x0 in range(0, level.shape[1], self._tile):
            data = self._encode(self._whole_tile(row[:, x0 : x0 + self._tile]))
            level.tiles.append((self._spool.tell(), len(data)))
            self._spool.write(data)
        if index + 1 < len(self._levels):
            self._add_rows(index + 1, halve(row))

    def encoded(self, index: int) -> Iterator[bytes]:
        """Yield the encoded tiles of a coarser level."""
        for offset, size in self._levels[index].tiles:
            self._spool.seek(offset)
            yield self._spool.read(size)

    def _whole_tile(self, block: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Repeat the last row and column: a hard edge would ring in JPEG."""
        missing = [(0, self._tile - size) for size in block.shape[:2]]
        if any(after for _, after in missing):
            block = np.pad(block, [*missing, (0, 0)], mode="edge")
        return np.ascontiguousarray(block)


def _encoder(
    compression: Compression, quality: int, subsampling: str
) -> Callable[[NDArray[np.uint8]], bytes]:
    if compression == "zlib":
        return lambda tile: bytes(imagecodecs.zlib_encode(tile.tobytes(), level=6))
    return lambda tile: bytes(
        imagecodecs.jpeg_encode(
            tile,
            level=quality,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling=subsampling,
        )
    )


def _page_options(
    mpp: float | None, tile_px: int, compression: Compression, subsampling: str
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "dtype": "uint8",
        "tile": (tile_px, tile_px),
        "photometric": "rgb",
        "compression": compression,
        "software": "napari-her2",
    }
    if compression == "jpeg":
        options["photometric"] = "ycbcr"
        options["subsampling"] = (2, 2) if subsampling == "420" else (1, 1)
    if mpp is not None:
        options["resolution"] = (1e4 / mpp, 1e4 / mpp)
        options["resolutionunit"] = "CENTIMETER"
    return options


def _resolution(options: dict[str, Any], factor: int) -> dict[str, Any]:
    if "resolution" not in options:
        return {}
    x, y = options["resolution"]
    return {"resolution": (x / factor, y / factor)}


def _ome_metadata(
    mpp: float | None, name: str, description: str, synthetic: bool
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": "YXS", "Name": name or "slide"}
    if synthetic:
        metadata["Name"] = f"{SYNTHETIC_MARK} {name}".rstrip()
        description = f"{SYNTHETIC_MARK} image, computed, not stained. {description}"
    if description:
        metadata["Description"] = description.rstrip()
    if mpp is not None:
        metadata |= {
            "PhysicalSizeX": mpp,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": mpp,
            "PhysicalSizeYUnit": "µm",
        }
    # not random: the same image written twice is the same file
    metadata["UUID"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, repr(metadata))}"
    return metadata


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
