"""OME-Zarr 0.4 and 0.5 (zarr v2 and v3), as a folder or in a zip file.

Only arrays that the metadata names inside the image's own folder are read, and
none whose codecs could run code.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError
from napari_her2.slides.broken import Broken, kind_of
from napari_her2.slides.fingerprint import (
    fingerprint_folder,
    fingerprint_zip,
)
from napari_her2.slides.scale import square_mpp, to_um
from napari_her2.slides.source import SlideSource, shrinking
from napari_her2.slides.tiff_blocks import MAX_BLOCK_BYTES, MAX_SIDE_PX, flatten_alpha

_MARKS: Final = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_MIN_BLOCK_PX: Final = 256
_MAX_LEVELS: Final = 32
_RGB_COLOURS: Final = (["FF0000", "00FF00", "0000FF"],)


def is_zarr_folder(path: Path) -> bool:
    """Whether a folder looks like a zarr group or array."""
    return any((path / mark).is_file() for mark in _MARKS)


def open_zarr(path: Path) -> SlideSource:
    """Open an OME-Zarr image, or a plain zarr array of shape (H, W, 3 or 4).

    Raises
    ------
    SlideError
        If it is damaged, no 8-bit RGB image, or has planes or time points.
    """
    close: Callable[[], None] = lambda: None  # noqa: E731
    try:
        if path.is_dir():
            node = zarr.open(str(path), mode="r")
            fingerprint = fingerprint_folder(path)
        else:
            fingerprint = fingerprint_zip(path)
            store = zarr.storage.ZipStore(path, mode="r")
            close = partial(_close, store)
            node = zarr.open(store, mode="r", path=_root_in_zip(path))
        levels, mpp = _levels(path, node)
        for level in levels:
            level.read_block(0, 0)
    except SlideError:
        close()
        raise
    except Exception as error:
        close()
        raise SlideError(
            path,
            f"it is a broken OME-Zarr ({kind_of(error)}).",
            "Copy or export it again.",
        ) from error
    return SlideSource(levels, mpp, fingerprint, close)


def _close(store: Any) -> None:
    # a store whose zip proved to be broken was never opened, and cannot be closed
    with suppress(AttributeError):
        store.close()


def _root_in_zip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    names = [PurePosixPath(info.filename) for info in infos]
    if len(set(names)) < len(names):
        raise Broken("a file stands in the zip twice")
    if any(info.file_size > MAX_BLOCK_BYTES for info in infos):
        raise Broken("a file in the zip is larger than 1 GB")
    roots = [name.parent for name in names if name.name in _MARKS]
    if not roots:
        raise Broken("there is no zarr in the zip")
    root = min(roots, key=lambda folder: len(folder.parts)).as_posix()
    return "" if root == "." else root


class ZarrBlocks:
    """Blocks of a zarr array that is an RGB image."""

    def __init__(self, path: Path, array: Any, axes: str) -> None:
        self._path = path
        self._array = array
        self._axes = axes
        shape = dict(zip(axes, array.shape, strict=True))
        chunks = dict(zip(axes, array.chunks, strict=True))
        _check_array(path, array, shape, chunks)
        self.shape: tuple[int, int] = (int(shape["y"]), int(shape["x"]))
        self.block_px: tuple[int, int] = (
            _block_px(chunks["y"]),
            _block_px(chunks["x"]),
        )

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as RGB.

        Raises
        ------
        SlideError
            If a chunk is damaged.
        """
        height, width = self.block_px
        index = {
            "y": slice(row * height, (row + 1) * height),
            "x": slice(col * width, (col + 1) * width),
            "c": slice(None),
        }
        try:
            block = np.asarray(self._array[tuple(index.get(a, 0) for a in self._axes)])
        except Exception as error:
            raise SlideError(
                self._path,
                f"a chunk is damaged ({kind_of(error)}).",
                "Copy or export it again.",
            ) from error
        left = [axis for axis in self._axes if axis in "yxc"]
        block = block.transpose([left.index(axis) for axis in "yxc"])
        return np.ascontiguousarray(flatten_alpha(block, ""))


def _block_px(chunk: int) -> int:
    return int(chunk) * max(1, -(-_MIN_BLOCK_PX // int(chunk)))


def _check_array(
    path: Path, array: Any, shape: dict[str, int], chunks: dict[str, int]
) -> None:
    def refuse(problem: str) -> SlideError:
        return SlideError(
            path, f"{problem}.", "Only 8-bit RGB brightfield slides can be read."
        )

    if array.dtype != np.uint8:
        raise refuse(f"it holds {array.dtype} values")
    if "pickle" in str(array.metadata.to_dict()).lower():
        raise refuse("its chunks are pickled, which can run code")
    n_channels = shape.get("c", 1)
    if n_channels not in (3, 4):
        what = "a grey image" if n_channels == 1 else f"{n_channels} channels"
        raise refuse(f"it holds {what}, no RGB image")
    if any(size != 1 for axis, size in shape.items() if axis not in "yxc"):
        raise refuse("it holds several focal planes or time points")
    if not all(0 < shape[axis] <= MAX_SIDE_PX for axis in "yx"):
        raise refuse(f"its size of {shape['x']} × {shape['y']} px makes no sense")
    if math.prod(chunks.values()) > MAX_BLOCK_BYTES:
        raise refuse("its chunks are larger than 1 GB")


def _levels(path: Path, node: Any) -> tuple[list[ZarrBlocks], float | None]:
    if isinstance(node, zarr.Array):
        return [ZarrBlocks(path, node, _plain_axes(path, node.shape))], None
    attributes = dict(node.attrs)
    attributes = attributes.get("ome", attributes)
    if "multiscales" not in attributes:
        if "0" in node and isinstance(node["0"], zarr.Group):
            return _levels(path, node["0"])  # bioformats2raw puts the image there
        raise Broken("it has no multiscales metadata")
    image = attributes["multiscales"][0]
    datasets = image["datasets"][:_MAX_LEVELS]
    axes_given = image.get("axes", "tczyx")
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes_given]
    axes = "".join(str(name)[:1].lower() for name in names)
    if len(set(axes)) < len(axes) or not {"y", "x"} <= set(axes):
        raise Broken("its axes are not those of an image")
    _check_colours(path, attributes)
    found = []
    for dataset in datasets:
        parts = PurePosixPath(str(dataset["path"])).parts
        if ".." in parts or parts[:1] == ("/",):
            raise Broken("a level lies outside its folder")
        found.append(ZarrBlocks(path, node["/".join(parts)], axes))
    return shrinking(found), _mpp(path, image, axes)


def _plain_axes(path: Path, shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        raise SlideError(
            path,
            f"it is a zarr array of shape {shape}, no RGB image.",
            "Only 8-bit RGB brightfield slides can be read.",
        )
    return "yxc"


def _check_colours(path: Path, attributes: dict[str, Any]) -> None:
    """Refuse three channels that are shown as something else than R, G, B."""
    channels = attributes.get("omero", {}).get("channels", [])
    colours = [str(channel.get("color", "")).upper()[-6:] for channel in channels]
    if len(colours) == 3 and all(colours) and colours not in _RGB_COLOURS:
        raise SlideError(
            path,
            "its channels are coloured as in fluorescence.",
            "Only 8-bit RGB brightfield slides can be read.",
        )


def _mpp(path: Path, image: dict[str, Any], axes: str) -> float | None:
    units = {
        axis: str(given.get("unit", "")) if isinstance(given, dict) else ""
        for axis, given in zip(axes, image.get("axes", axes), strict=True)
    }
    scale = np.ones(len(axes))
    found = False
    for owner in (image, image["datasets"][0]):
        for transform in owner.get("coordinateTransformations", []):
            if transform.get("type") == "scale":
                scale = scale * np.asarray(transform["scale"], float)
                found = True
    if not found:
        return None
    sizes = [to_um(float(scale[axes.index(axis)]), units[axis]) for axis in "yx"]
    return square_mpp(path, *sizes)
