"""What every format module hands over: levels, scale, and how to close them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from napari_her2.slides.level import BlockSource


@dataclass(frozen=True, slots=True)
class SlideSource:
    """The levels a file has, finest first, before any is built.

    ``mpp`` is µm/px of the finest level or None; ``fingerprint`` names the
    content; ``is_synthetic`` says that the file calls itself computed.
    """

    levels: Sequence[BlockSource]
    mpp: float | None
    fingerprint: str
    close: Callable[[], None]
    is_synthetic: bool = False
