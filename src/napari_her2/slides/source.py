"""What every format module hands over: levels, scale, and how to close them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from napari_her2.slides.level import BlockSource


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
