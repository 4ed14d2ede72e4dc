"""The outline of the computed area, so that synthetic pixels are always marked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def outline(
    filled: NDArray[np.bool_],
    row_edges: NDArray[np.int64],
    col_edges: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the border between filled and empty cells of a grid as vectors.

    Parameters
    ----------
    filled
        (rows, columns).
    row_edges, col_edges
        Borders of the rows and columns, one more than there are.

    Returns
    -------
    ndarray
        (N, 2, 2): start (y, x) and projection (dy, dx) of each straight piece.

    Examples
    --------
    >>> edges = np.array([0, 10])
    >>> outline(np.array([[True]]), edges, edges).shape
    (4, 2, 2)
    """
    padded = np.pad(filled, 1)
    pieces = []
    for index, runs in _runs(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        y = row_edges[index]
        for start, stop in runs:
            x0, x1 = col_edges[start], col_edges[stop]
            pieces.append(((y, x0), (0, x1 - x0)))
    for index, runs in _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T):
        x = col_edges[index]
        for start, stop in runs:
            y0, y1 = row_edges[start], row_edges[stop]
            pieces.append(((y0, x), (y1 - y0, 0)))
    return np.array(pieces, dtype=float).reshape(-1, 2, 2)


def _runs(
    lines: NDArray[np.bool_],
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield for each line the half-open stretches in which it is True."""
    for index, line in enumerate(lines):
        steps = np.flatnonzero(np.diff(np.pad(line.astype(np.int8), 1)))
        yield (
            index,
            [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)],
        )
