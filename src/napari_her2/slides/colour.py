"""What a slide's colours mean: pixels as stored, or in sRGB by its ICC profile.

A scanner's profile says which colour each stored value stands for. The vendor's
viewer applies it, and so does this program unless the reader's preferences say
otherwise: the brown of one slide can then be held against that of another
scanner's, and the screen shows what the scanner saw. (A standard monitor is
near sRGB; a profile of the monitor itself is not applied.)

Method: Little CMS, perceptual intent, 8 bits in and out, pixel by pixel and block
by block, so that a pixel is the same whoever asks for it. A profile that moves no
colour by more than one grey value (most say "sRGB") is left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.slides.level import BlockSource
from napari_her2.slides.source import SlideSource

MAX_ICC_BYTES: Final = 4 << 20
_PERCEPTUAL: Final = 0
_CLASSES: Final = (b"scnr", b"mntr", b"spac", b"prtr")
_GRID: Final = np.stack(
    np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3, indexing="ij"), axis=-1
).reshape(16 * 16, 16, 3)
"""Colours spread evenly, as an image: what becomes of them names a conversion."""


class Colours(StrEnum):
    """How the colours of an open slide came about.

    ``UNUSABLE``: there is a profile, which is damaged or not for RGB, and the
    pixels are as stored.
    """

    STORED = "stored"
    SRGB = "srgb"
    UNUSABLE = "unusable"


class SrgbBlocks:
    """Blocks of a level, converted to sRGB."""

    def __init__(self, blocks: BlockSource, icc: bytes) -> None:
        self._blocks = blocks
        self._icc = icc
        self.shape = blocks.shape
        self.block_px = blocks.block_px

    def read_block(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block as sRGB."""
        return to_srgb(self._blocks.read_block(row, col), self._icc)


def in_srgb(source: SlideSource) -> SlideSource:
    """Return a slide with its colours in sRGB, where its profile asks for that.

    ``colours`` and ``colours_key`` of what comes back say what was done.
    """
    if source.icc is None:
        return source
    try:
        grid = to_srgb(_GRID, source.icc)
    except ValueError:
        return replace(source, colours=Colours.UNUSABLE)
    if int(np.abs(grid.astype(np.int16) - _GRID).max()) <= 1:
        return source
    digest = hashlib.blake2b(grid.tobytes(), digest_size=8).hexdigest()
    return replace(
        source,
        levels=[SrgbBlocks(blocks, source.icc) for blocks in source.levels],
        colours=Colours.SRGB,
        colours_key=f"srgb:{digest}",
    )


def to_srgb(image: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """Convert an image (H, W, 3) from the colours of a profile to sRGB.

    Raises
    ------
    ValueError
        If the profile is damaged or not one of RGB colours.
    """
    import imagecodecs

    if (
        not 132 <= len(icc) <= MAX_ICC_BYTES
        or icc[36:40] != b"acsp"
        or icc[16:20] != b"RGB "
        or icc[12:16] not in _CLASSES
    ):
        raise ValueError("no ICC profile of RGB colours")
    try:
        converted = imagecodecs.cms_transform(
            np.ascontiguousarray(image),
            icc,
            _srgb(),
            colorspace="rgb",
            outcolorspace="rgb",
            intent=_PERCEPTUAL,
        )
    except Exception as error:
        raise ValueError(f"Little CMS refuses the profile ({error})") from error
    done: NDArray[np.uint8] = np.asarray(converted, np.uint8)
    return done


@cache
def _srgb() -> Any:
    import imagecodecs

    return imagecodecs.cms_profile("srgb")
