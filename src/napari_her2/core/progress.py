"""Typed progress that long work yields; closing the generator cancels it."""

from __future__ import annotations

from dataclasses import dataclass

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Suggestion


@dataclass(frozen=True, slots=True)
class RunStarted:
    """How many tiles with tissue there are, and how many were known already.

    ``n_background`` tiles meet the regions too but hold no tissue; they are not
    computed and not counted in ``n_tiles``.
    """

    n_tiles: int
    n_cached: int
    n_background: int


@dataclass(frozen=True, slots=True)
class StainsDoubted:
    """Slides that may not show the stain they were given as; comes first, if at all.

    Nothing is changed because of it: a person decides what a slide is.
    """

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TileDone:
    """One tile of the slide grid is in the result store.

    ``box_px`` is its core in level-0 pixels of the reference slide.
    """

    row: int
    col: int
    box_px: BoxPx
    n_done: int
    n_tiles: int
    cached: bool


@dataclass(frozen=True, slots=True)
class RegionDone:
    """All tiles of a region are there and were put together."""

    suggestion: Suggestion


Progress = StainsDoubted | RunStarted | TileDone | RegionDone
