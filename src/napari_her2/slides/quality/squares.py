"""Slides are judged square by square."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def means_of_squares(field: NDArray[np.float32], cell_px: int) -> NDArray[np.float64]:
    """Return the mean of each square, at least one along each side.

    Parameters
    ----------
    field
        (h, w).
    cell_px
        Side of the squares; what is left over at the right and lower edge does not
        count.
    """
    rows, cols = (max(1, side // cell_px) for side in field.shape)
    height, width = min(cell_px, field.shape[0]), min(cell_px, field.shape[1])
    part = field[: rows * height, : cols * width]
    return np.asarray(
        part.reshape(rows, height, cols, width).mean((1, 3), dtype=np.float64)
    )
