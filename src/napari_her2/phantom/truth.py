"""What is known about a virtual slide: counted, not promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import MembraneShares
from napari_her2.core.score import Stain
from napari_her2.phantom.cells import CellKind, shares_of

if TYPE_CHECKING:
    from napari_her2.phantom.recipe import PhantomRecipe

_STRETCH_PX = 4096


def count_shares(
    recipe: PhantomRecipe, stain: Stain = Stain.IHC
) -> tuple[int, MembraneShares]:
    """Count invasive cells and patterns over a whole slide, strip by strip."""
    from napari_her2.phantom.slide import VirtualPair, _parts

    pair = VirtualPair(recipe)
    counts = np.zeros(5)
    for part in _parts(BoxPx.of_shape(pair.shape_px(stain)), _STRETCH_PX):
        n, shares = pair.tile_truth(stain, part)
        counts += n * np.array(
            [
                0,
                shares.faint_incomplete,
                shares.incomplete_moderate_intense,
                shares.complete_weak_moderate,
                shares.complete_intense,
            ]
        )
        counts[0] += n * (1 - shares.stained)
    pattern = np.repeat(np.arange(5, dtype=np.int8), np.rint(counts).astype(int))
    return int(pattern.size), shares_of(pattern)


__all__ = ["CellKind", "count_shares"]
