"""Halve an image by the mean of 2 x 2 pixels, as every pyramid here is built."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LAST_LEVEL_PX = 1024
"""A pyramid ends with a level whose long side is at most this."""


def halved_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) of the next coarser level (odd sides round up)."""
    return (shape[0] + 1) // 2, (shape[1] + 1) // 2


def pyramid_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the shapes of a whole pyramid, from ``shape`` to a small last level."""
    shapes = [shape]
    while max(shapes[-1]) > LAST_LEVEL_PX:
        shapes.append(halved_shape(shapes[-1]))
    return shapes


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the rounded mean of 2 x 2 pixels.

    Parameters
    ----------
    image
        uint8, shape (H, W, C). An odd last row or column counts twice.

    Returns
    -------
    NDArray[np.uint8]
        Shape (ceil(H / 2), ceil(W / 2), C).
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        pad = ((0, height % 2), (0, width % 2), (0, 0))
        image = np.pad(image, pad, mode="edge")
    rows = np.add(image[::2], image[1::2], dtype=np.uint16)
    total = rows[:, ::2] + rows[:, 1::2]
    total += 2
    total >>= 2
    return total.astype(np.uint8)
