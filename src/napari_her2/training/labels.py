"""Labels of areas whose invasive cells are known, by the guideline."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.guideline import call_from_shares
from napari_her2.core.membrane import PatternCounts
from napari_her2.training.tiles import CELL_GRID_PX, CLASSES, N_PATTERNS

MIN_CELLS = 10
"""An area with fewer invasive cells holds too few to score: "no invasive tumour"."""


def label_of(counts: NDArray[np.integer[Any]]) -> int:
    """Return the class of an area by the guideline, from counts (..., 5)."""
    patterns = counts.reshape(-1, N_PATTERNS).sum(0, dtype=np.int64)
    if patterns.sum() < MIN_CELLS:
        return 0
    score = call_from_shares(PatternCounts(*patterns.tolist()).shares()).score
    return CLASSES.index(score.value)


def labels_of(
    counts: NDArray[np.uint8], halo_px: int
) -> tuple[int, int, int, int, int]:
    """Return the classes of a tile's core and of its quarters, row by row.

    Parameters
    ----------
    counts
        Cells of the whole tile, see :class:`~napari_her2.training.tiles.TrainingTile`.
    halo_px
        Margin around the core.
    """
    halo = halo_px // CELL_GRID_PX
    core = counts[halo : len(counts) - halo, halo : len(counts) - halo]
    half = len(core) // 2
    top, bottom = core[:half], core[half:]
    return (
        label_of(core),
        label_of(top[:, :half]),
        label_of(top[:, half:]),
        label_of(bottom[:, :half]),
        label_of(bottom[:, half:]),
    )
