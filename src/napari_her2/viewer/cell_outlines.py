"""Cells as places, outlines and pictures, in µm on the IHC slide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine, BoxUm
from napari_her2.slides.resample import read_mapped
from napari_her2.slides.slide import Slide

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

THUMBNAIL_PX: Final = 64
THUMBNAIL_MPP: Final = 0.375
_STEP: Final = 2
"""Every second of the 36 directions: no eye sees the difference."""


def places_um(cells: pa.Table, mpp: float) -> Floats:
    """Return the middles (n, 2) of cells."""
    return np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1) * mpp


def outline_vectors(
    cells: pa.Table, rows: Sequence[int] | NDArray[np.intp], mpp: float, more_um: float
) -> Floats:
    """Return the outlines of some cells as vectors (rows, sides, 2, 2).

    Each is a start (y, x) and a way (dy, dx). ``more_um`` draws them wider. Single
    rays that went astray are left out: each is the median of five neighbours.
    """
    some = cells.select(["y_px", "x_px", "outline_um"]).take(rows)
    if not some.num_rows:
        return np.zeros((0, 0, 2, 2))
    radius = some["outline_um"].combine_chunks().flatten().to_numpy()
    radius = radius.reshape(some.num_rows, -1)
    around = [np.roll(radius, shift, axis=1) for shift in range(-2, 3)]
    radius = np.median(around, axis=0)[:, ::_STEP] + more_um
    angle = 2 * np.pi * np.arange(radius.shape[1]) / radius.shape[1]
    round_about = np.stack([np.sin(angle), np.cos(angle)], -1)
    points = places_um(some, mpp)[:, None] + radius[..., None] * round_about
    return np.stack([points, np.roll(points, -1, axis=1) - points], axis=2)


def inside(places: Floats, box: BoxUm) -> NDArray[np.bool_]:
    """Return which places (n, 2) lie in a box."""
    low, high = (box.y0, box.x0), (box.y1, box.x1)
    return np.asarray(((places >= low) & (places < high)).all(1))


def thumbnail(slide: Slide, y_px: float, x_px: float) -> NDArray[np.uint8]:
    """Return the picture (64, 64, 3) of the cell at a place in level-0 pixels."""
    step = THUMBNAIL_MPP / (slide.mpp or THUMBNAIL_MPP)
    half = THUMBNAIL_PX * step / 2
    to_level0 = Affine(((step, 0.0, y_px - half), (0.0, step, x_px - half)))
    return read_mapped(slide, to_level0, (THUMBNAIL_PX, THUMBNAIL_PX))
