"""Where on a slide the stained cells are: their share in squares of 100 µm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from napari_her2.core.membrane import MembranePattern

SQUARE_UM: Final = 100.0
LEAST_CELLS: Final = 10
"""Tumour cells in a square; the share of fewer is chance."""

EDGES: Final = (0.0, 0.1, 0.3, 0.6)
"""What a share has to exceed for each next step; 10 % is that of the guideline."""


@dataclass(frozen=True, slots=True, eq=False)
class ShareMap:
    """Shares of tumour cells, (rows, columns) in [0, 1], NaN where too few lie.

    ``corner_um`` is the corner (y, x) of the first square on the slide. The squares
    lie on a grid fixed to the slide, so that two regions share theirs.
    """

    shares: NDArray[np.float32]
    corner_um: tuple[float, float]

    @property
    def steps(self) -> NDArray[np.float32]:
        """Number of ``EDGES`` that each share exceeds, NaN where there is none."""
        passed = sum((self.shares > edge).astype(np.float32) for edge in EDGES)
        return np.where(np.isnan(self.shares), np.float32(np.nan), passed)


def share_map(
    cells: pa.Table, mpp: float, patterns: Iterable[MembranePattern]
) -> ShareMap | None:
    """Return the share of tumour cells with one of some patterns, None without any.

    Parameters
    ----------
    mpp
        Of the level-0 pixels that the places are given in.
    """
    tumour = cells.filter(cells["is_tumour"])
    if not tumour.num_rows:
        return None
    places = np.stack([tumour["y_px"].to_numpy(), tumour["x_px"].to_numpy()], -1) * mpp
    square = np.floor(places / SQUARE_UM).astype(int)
    first = square.min(0)
    rows, columns = square.max(0) - first + 1
    at = np.ravel_multi_index(tuple((square - first).T), (rows, columns))
    is_hit = np.isin(tumour["pattern"].to_numpy(), [*map(int, patterns)])
    counted = np.bincount(at, minlength=rows * columns)
    hits = np.bincount(at[is_hit], minlength=rows * columns)
    shares = np.where(
        counted >= LEAST_CELLS, hits / np.maximum(counted, 1), np.nan
    ).astype(np.float32)
    y_um, x_um = (first * SQUARE_UM).tolist()
    return ShareMap(shares.reshape(rows, columns), (y_um, x_um))
