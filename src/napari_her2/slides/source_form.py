"""What a worker says of the slide it opened, and the check that it makes sense."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from napari_her2.slides.messages import Message
from napari_her2.slides.source import SlideSource
from napari_her2.slides.tiff_blocks import MAX_BLOCK_BYTES, MAX_SIDE_PX

_MAX_LEVELS: Final = 2048
_COLOURS: Final = ("stored", "srgb", "unusable")
_COLOURS_KEY: Final = re.compile(r"(srgb:[0-9a-f]{1,64})?")
_FINGERPRINT: Final = re.compile(r"blake2b:[0-9a-f]{1,128}")


@dataclass(frozen=True, slots=True)
class LevelForm:
    """Sizes of one level: of the image and of a block, (height, width) in px."""

    shape: tuple[int, int]
    block_px: tuple[int, int]

    @property
    def block_bytes(self) -> int:
        """Bytes of a whole RGB block."""
        height, width = map(min, self.block_px, self.shape)
        return height * width * 3

    def shape_of(self, row: int, col: int) -> tuple[int, int, int]:
        """Return the shape of a block, cut at the edge of the image."""
        height, width = (
            min(block, side - at * block)
            for block, side, at in zip(
                self.block_px, self.shape, (row, col), strict=True
            )
        )
        return (height, width, 3)


@dataclass(frozen=True, slots=True)
class SourceForm:
    """All of a :class:`SlideSource` but its pixels and its colour profile."""

    levels: tuple[LevelForm, ...]
    mpp: float | None
    fingerprint: str
    is_synthetic: bool
    colours: str
    colours_key: str


def form_of(source: SlideSource) -> Message:
    """Return the message that tells of a source."""
    return {
        "levels": [[*level.shape, *level.block_px] for level in source.levels],
        "mpp": source.mpp,
        "fingerprint": source.fingerprint,
        "is_synthetic": source.is_synthetic,
        "colours": source.colours,
        "colours_key": source.colours_key,
    }


def read_form(message: Message) -> SourceForm:
    """Check what a worker said.

    Raises
    ------
    ValueError
        If it is not what a sound worker says.
    """
    levels, mpp = message.get("levels"), message.get("mpp")
    fingerprint = message.get("fingerprint")
    is_synthetic = message.get("is_synthetic")
    if not isinstance(levels, list) or not 0 < len(levels) <= _MAX_LEVELS:
        raise ValueError("no levels")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError("no fingerprint")
    if not isinstance(is_synthetic, bool):
        raise ValueError("no word on whether it is synthetic")
    colours, colours_key = message.get("colours"), message.get("colours_key")
    if colours not in _COLOURS:
        raise ValueError("no word on its colours")
    if not isinstance(colours_key, str) or not _COLOURS_KEY.fullmatch(colours_key):
        raise ValueError("no name of its colours")
    is_number = isinstance(mpp, int | float) and not isinstance(mpp, bool)
    if mpp is not None and not (is_number and math.isfinite(mpp)):
        raise ValueError("no scale")
    return SourceForm(
        tuple(_level(level) for level in levels),
        None if mpp is None else float(mpp),
        fingerprint,
        is_synthetic,
        colours,
        colours_key,
    )


def _level(sizes: Any) -> LevelForm:
    if not isinstance(sizes, list) or len(sizes) != 4:
        raise ValueError("no sizes")
    if not all(isinstance(size, int) and 0 < size <= MAX_SIDE_PX for size in sizes):
        raise ValueError("absurd sizes")
    height, width, block_height, block_width = sizes
    level = LevelForm((height, width), (block_height, block_width))
    if level.block_bytes > MAX_BLOCK_BYTES:
        raise ValueError("absurd blocks")
    return level
