"""What every format module hands over: levels, scale, and how to close them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_her2.slides.level import BlockSource

Blocks = TypeVar("Blocks", bound=BlockSource)


@dataclass(frozen=True, slots=True)
class SlideSource:
    """The levels a file has, finest first, before any is built.

    ``mpp`` is µm/px of the finest level or None; ``fingerprint`` names the
    content; ``is_synthetic`` says that the file calls itself computed; ``icc`` is the
    ICC profile of its colours, as it stands in the file; ``colours`` says what was
    made of it and ``colours_key`` names the conversion, "" where there is none.
    """

    levels: Sequence[BlockSource]
    mpp: float | None
    fingerprint: str
    close: Callable[[], None]
    is_synthetic: bool = False
    icc: bytes | None = None
    colours: str = "stored"
    colours_key: str = ""


def shrinking(found: Iterable[Blocks]) -> list[Blocks]:
    """Return those levels that are strictly smaller than the one kept before."""
    levels: list[Blocks] = []
    for level in found:
        if not levels or (
            level.shape != levels[-1].shape
            and all(a <= b for a, b in zip(level.shape, levels[-1].shape, strict=True))
        ):
            levels.append(level)
    return levels


def tried(levels: list[Blocks]) -> list[Blocks]:
    """Return levels after one block of each was decoded.

    A codec that is missing or a damaged file then shows when the slide is opened
    and not while it is read.
    """
    for level in levels:
        level.read_block(
            level.shape[0] // level.block_px[0] // 2,
            level.shape[1] // level.block_px[1] // 2,
        )
    return levels
