"""The membrane of every cell: how brown, and how much of the way round.

From the middle of each nucleus 36 rays go out. On each, the membrane is the highest
crest of DAB between the edge of the nucleus and just beyond the outline of the cell.
A crest stands above what lies 1 µm inside and outside of it, as a line does and a
band of brown cytoplasm between two nuclei does not. Where nuclei lie so close that
such a band is as narrow as a line, the cytoplasm around tells: a membrane is browner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

N_RAYS: Final = 36
STEP_UM: Final = 0.25
LONGEST_UM: Final = 16.0
BEYOND_UM: Final = 1.2
"""How far beyond the outline a membrane may lie: the outline is not that exact."""

FLANK_UM: Final = 1.0
CYTOPLASM_UM: Final = 1.6
REST_UM: Final = 3.0
"""A cell without neighbour or membrane is drawn so far beyond its nucleus."""

AROUND_UM: Final = 4.0
"""Standard deviation of the weights by which cytoplasm around is averaged."""

_BORDER_UM: Final = 0.75
_LEAST_WEIGHT: Final = 1e-3


@dataclass(frozen=True, slots=True)
class MembraneRays:
    """What the rays saw, each (cells, 36).

    ``peak`` is the DAB on the membrane; ``flank`` the higher of both sides at its
    foot, ``cytoplasm`` the higher of both sides clear of it, ``around`` and
    ``around_sd`` the mean and the standard deviation of the cytoplasm some µm around,
    0 without any, in optical density. ``radius_um`` is where the crest lies,
    ``border_um`` where the cell ends, by its neighbours or 3 µm beyond its nucleus,
    both from the middle; ``neighbour`` is the number of the cell beyond, 0 for none.
    """

    peak: Floats
    flank: Floats
    cytoplasm: Floats
    around: Floats
    around_sd: Floats
    radius_um: Floats
    border_um: Floats
    neighbour: Labels


def trace_membranes(
    nuclei: Labels, cells: Labels, dab: Floats, mpp: float
) -> MembraneRays:
    """Follow rays from every nucleus across its membrane.

    Parameters
    ----------
    nuclei, cells
        The same number for a nucleus and its cell (h, w); numbered from 1 without
        gaps.
    dab
        Amount of DAB (h, w), optical density.
    mpp
        Pixel size in µm.
    """
    number = np.arange(1, int(nuclei.max()) + 1)
    middle = np.array(ndimage.center_of_mass(nuclei > 0, nuclei, number))
    angle = 2 * np.pi * np.arange(N_RAYS) / N_RAYS
    radius_um = np.arange(0, LONGEST_UM, STEP_UM)
    way_um = np.stack([np.sin(angle), np.cos(angle)])[:, None, :, None] * radius_um
    place = middle.reshape(-1, 2).T[:, :, None, None] + way_um / mpp
    seen = ndimage.map_coordinates(dab, place, order=1, mode="nearest")
    own, first, end = _extent(nuclei, cells, place, number)
    step = np.arange(len(radius_um))
    beyond = round(BEYOND_UM / STEP_UM)
    window = (step >= first[..., None]) & (step <= end[..., None] + beyond)
    # three rays together: a membrane runs on, a grain does not; nor does it run on
    # beyond its end
    along = 0.5 * seen + 0.25 * (np.roll(seen, 1, 1) + np.roll(seen, -1, 1))
    along = np.minimum(along, 1.5 * np.maximum(seen, 0))
    flank = _flank(along, FLANK_UM, 1)
    cytoplasm = _flank(along, CYTOPLASM_UM, 3)
    at = np.where(window, along - flank, -np.inf).argmax(-1)[..., None]
    last = len(radius_um) - 1
    outside = [
        np.take_along_axis(own, np.minimum(end + more, last)[..., None], -1)[..., 0]
        for more in (0, 1)
    ]
    neighbour = np.where(outside[0] > 0, outside[0], outside[1])
    height, width = dab.shape
    on = np.rint(np.take_along_axis(place, at[None], -1)[..., 0]).astype(int)
    y, x = np.clip(on[0], 0, height - 1), np.clip(on[1], 0, width - 1)
    around, around_sd = _cytoplasm_around(nuclei, cells, dab, mpp)
    return MembraneRays(
        peak=np.take_along_axis(along, at, -1)[..., 0].astype(np.float32),
        flank=np.take_along_axis(flank, at, -1)[..., 0].astype(np.float32),
        cytoplasm=np.take_along_axis(cytoplasm, at, -1)[..., 0].astype(np.float32),
        around=around[y, x],
        around_sd=around_sd[y, x],
        radius_um=radius_um[at[..., 0]].astype(np.float32),
        border_um=(STEP_UM * np.minimum(end, first + round(REST_UM / STEP_UM))).astype(
            np.float32
        ),
        neighbour=np.where(neighbour == number[:, None], 0, neighbour),
    )


def _extent(
    nuclei: Labels, cells: Labels, place: NDArray[np.float64], number: NDArray[np.int_]
) -> tuple[Labels, NDArray[np.int_], NDArray[np.int_]]:
    """Return the cell at every step, and where on each ray nucleus and cell end."""
    limit = np.array(nuclei.shape)[:, None, None, None]
    pixel = np.rint(place).astype(int)
    inside = ((pixel >= 0) & (pixel < limit)).all(0)
    y, x = np.clip(pixel, 0, limit - 1)
    mine = number[:, None, None]
    cell = np.where(inside, cells[y, x], 0).astype(np.int32)
    step = np.arange(place.shape[-1])
    in_nucleus = inside & (nuclei[y, x] == mine)
    first = np.where(in_nucleus, step, 0).max(-1)
    left = (cell != mine) & (step > first[..., None])
    end = np.where(left.any(-1), left.argmax(-1), len(step) - 1)
    return cell, first, end


def _flank(
    along: NDArray[np.float64], away_um: float, steps: int
) -> NDArray[np.float64]:
    """Return the higher of the densities so much nearer and farther on each ray."""
    mean = ndimage.uniform_filter1d(along, steps, axis=-1, mode="nearest")
    away, length = round(away_um / STEP_UM), along.shape[-1]
    padded = np.pad(mean, ((0, 0), (0, 0), (away, away)), mode="edge")
    sides = padded[..., :length], padded[..., 2 * away :]
    higher: NDArray[np.float64] = np.maximum(*sides)
    return higher


def _cytoplasm_around(
    nuclei: Labels, cells: Labels, dab: Floats, mpp: float
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (h, w) of DAB in the cytoplasm around.

    Nuclei and the borders of cells are left out.
    """
    border = find_boundaries(cells, mode="inner")
    inner = (cells > 0) & (nuclei == 0)
    inner &= mpp * ndimage.distance_transform_edt(~border) >= _BORDER_UM
    weight, mean, square = (
        ndimage.gaussian_filter(np.where(inner, part, np.float32(0)), AROUND_UM / mpp)
        for part in (np.float32(1), dab, dab**2)
    )
    share = np.where(weight > _LEAST_WEIGHT, 1 / np.maximum(weight, 1e-9), 0)
    mean, square = mean * share, square * share
    return mean, np.sqrt(np.maximum(square - mean**2, 0))
