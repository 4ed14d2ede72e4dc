"""Cells that do not count because a person excluded the area they lie in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from skimage.measure import points_in_poly


def leave_out(cells: pa.Table, outlines: Iterable[NDArray[np.float64]]) -> pa.Table:
    """Return the table with no cell inside an outline counted as tumour.

    Parameters
    ----------
    outlines
        Polygons (n, 2) of (y, x) in level-0 pixels of the slide the cells lie on.
    """
    places = np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1)
    is_out = np.zeros(cells.num_rows, bool)
    for outline in outlines:
        is_out |= points_in_poly(places, outline)
    counted = cells["is_tumour"].to_numpy() & ~is_out
    column = cells.schema.get_field_index("is_tumour")
    return cells.set_column(column, "is_tumour", pa.array(counted))
