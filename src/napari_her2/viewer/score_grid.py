"""The call of each tile as a small grid, with what may not be shown left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_her2.app.state import RegionReview
from napari_her2.core.score import Score
from napari_her2.inference.grid import TileGrid
from napari_her2.inference.suggestion import TUMOUR_PROBABILITY


def score_grid(
    probabilities: NDArray[np.float32], classes: Sequence[str]
) -> NDArray[np.float32]:
    """Return the rank (0 to 4) of each tile's most probable score.

    NaN where a tile was not computed or takes no part in a region's score
    because it probably holds no invasive tumour.

    Parameters
    ----------
    probabilities
        (rows, columns, K), NaN where a tile was not computed.
    classes
        Names of the K classes.
    """
    columns = [index for index, name in enumerate(classes) if name in set(Score)]
    ranks = np.array([Score(classes[index]).rank for index in columns], np.float32)
    strata = np.asarray(probabilities)[..., columns]
    is_tumour = strata.sum(axis=-1) >= TUMOUR_PROBABILITY  # False for NaN
    best = np.nan_to_num(strata).argmax(axis=-1)
    return np.where(is_tumour, ranks[best], np.float32(np.nan)).astype(np.float32)


def revealed_tiles(
    grid: TileGrid, rows: Iterable[RegionReview], *, first_read_required: bool
) -> NDArray[np.bool_]:
    """Return which tiles' scores the reader may see now, shape (rows, columns).

    While a first read is required, only tiles of regions whose suggestion was
    revealed are shown, and none that another region still hides: a tile of a
    cancelled run or at the edge of two regions must not tell a score early.
    """
    rows = tuple(rows)
    shown: NDArray[np.bool_] = np.full(
        (grid.n_rows, grid.n_cols), not first_read_required
    )
    for row in rows:
        if row.by_network is not None:
            shown[_index(grid, row)] = True
    for row in rows:
        if row.network_hidden:
            shown[_index(grid, row)] = False
    return shown


def _index(grid: TileGrid, row: RegionReview) -> tuple[list[int], list[int]]:
    tiles = grid.tiles_in(row.region)
    return [tile[0] for tile in tiles], [tile[1] for tile in tiles]
