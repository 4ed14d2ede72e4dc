"""A sample of tiles at about 1 µm/px: what can only be seen near nuclei.

A slide with few tiles of tissue is read whole; of a larger one ``MOST_TILES`` are
read, evenly spread over the tissue, so that time and memory do not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.geometry import BoxPx
from napari_her2.slides.quality.crush import streaks
from napari_her2.slides.quality.dyes import amounts
from napari_her2.slides.quality.focus import CELL_UM, blur_map
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.reading import read_averaged
from napari_her2.slides.quality.shapes import Mask, grown
from napari_her2.slides.slide import Slide

TILE_MPP: Final = 1.0
COARSEST_MPP: Final = 1.3
"""A slide coarser than this is not looked at for focus, crush and staining."""
MOST_TILES: Final = 200
CELLS_A_TILE: Final = 4
LEAST_TISSUE: Final = 0.10
"""Share of a tile that must be tissue for it to be read."""
_MOST_DENSITY: Final = 1.0
_PALEST: Final = 0.05
_INK_RIM_UM: Final = 50.0
_SAMPLES_A_TILE: Final = 1500


@dataclass(frozen=True, slots=True, eq=False)
class CellMaps:
    """What was measured per square of ``cell_px`` level-0 pixels, NaN where not.

    Each (rows, columns): ``blur_um``, ``coherence``, ``energy``, ``haematoxylin``
    (mean density of red light); ``seen`` is True where a square was read and is
    tissue. ``samples`` (n, 2) are the densities of red light and of the second dye
    in tissue pixels.
    """

    cell_px: float
    blur_um: NDArray[np.float64]
    coherence: NDArray[np.float64]
    energy: NDArray[np.float64]
    haematoxylin: NDArray[np.float64]
    seen: Mask
    samples: NDArray[np.float32]
    n_tiles: int
    n_tiles_of: int


@dataclass(frozen=True, slots=True)
class TileLooked:
    """One more tile was looked at."""

    n_done: int
    n_tiles: int


def look_closely(
    slide: Slide, view: Overview, ink: Mask
) -> Iterator[TileLooked | CellMaps]:
    """Yield a step per tile, and at last the maps; yields nothing when too coarse."""
    mpp = view.mpp / view.pixel_px
    if mpp > COARSEST_MPP:
        return
    wanted = max(1.0, TILE_MPP / mpp)
    probe, pixel_px = read_averaged(slide, wanted, BoxPx(0, 0, 1, 1))
    del probe
    side = max(1, round(CELL_UM / (pixel_px * mpp)))
    cell_px = side * pixel_px
    rows, cols = (max(1, int(full / cell_px)) for full in slide.shape)
    blur, coherence, energy, dye = (np.full((rows, cols), np.nan) for _ in range(4))
    tissue = _shares(view.tissue & ~ink, view.pixel_px, cell_px, (rows, cols))
    inked = _shares(
        grown(ink, view.px(_INK_RIM_UM)), view.pixel_px, cell_px, (rows, cols)
    )
    corners = [
        (row, col)
        for row in range(0, rows, CELLS_A_TILE)
        for col in range(0, cols, CELLS_A_TILE)
        if tissue[row : row + CELLS_A_TILE, col : col + CELLS_A_TILE].mean()
        > LEAST_TISSUE
    ]
    chosen = corners
    if len(corners) > MOST_TILES:
        picks = np.linspace(0, len(corners) - 1, MOST_TILES).round().astype(int)
        chosen = [corners[i] for i in picks]
    samples = [np.zeros((0, 2), np.float32)]
    for n_done, (row, col) in enumerate(chosen, 1):
        box = BoxPx(
            round(row * cell_px),
            round(col * cell_px),
            min(round((row + CELLS_A_TILE) * cell_px) + 1, slide.shape[0]),
            min(round((col + CELLS_A_TILE) * cell_px) + 1, slide.shape[1]),
        )
        image, _ = read_averaged(slide, wanted, box)
        if min(image.shape[:2]) < 8:
            continue
        density = _density(image, view.glass)
        # red light is taken by haematoxylin, hardly by eosin and little by DAB
        first, second = density[0], amounts(density, view.stain)[1]
        total = np.minimum(density, _MOST_DENSITY).sum(0)
        read = pixel_px * mpp
        found, _ = blur_map(total, read, side)
        height, width = found.shape
        height, width = min(height, rows - row), min(width, cols - col)
        here = np.s_[row : row + height, col : col + width]
        blur[here] = found[:height, :width]
        for target, measured in zip(
            (coherence, energy, dye), streaks(first, read, side), strict=True
        ):
            target[here] = measured[:height, :width]
        clear = inked[here] == 0
        clear = np.kron(clear, np.ones((side, side), bool)).astype(bool)
        part = np.s_[: clear.shape[0], : clear.shape[1]]
        clear = clear[: total.shape[0], : total.shape[1]]
        samples.append(
            _samples(
                first[part][clear], second[part][clear], total[part][clear], n_done
            )
        )
        yield TileLooked(n_done, len(chosen))
    seen = np.isfinite(dye) & (tissue > LEAST_TISSUE) & (inked < 0.2)
    yield CellMaps(
        cell_px,
        np.where(seen, blur, np.nan),
        coherence,
        energy,
        dye,
        np.asarray(seen, bool),
        np.concatenate(samples),
        len(chosen),
        len(corners),
    )


def fill_between(mask: Mask, seen: Mask, unread: Mask) -> Mask:
    """Give squares that were not read the answer of the nearest one that was seen."""
    if not seen.any():
        return mask & seen
    nearest = ndimage.distance_transform_edt(
        ~seen, return_distances=False, return_indices=True
    )
    return np.asarray(mask[tuple(nearest)] & (unread | seen), bool)


def tissue_cells(view: Overview, maps: CellMaps) -> Mask:
    """Return which squares of the maps hold tissue."""
    shares = _shares(view.tissue, view.pixel_px, maps.cell_px, maps.seen.shape)
    return np.asarray(shares > LEAST_TISSUE, bool)


def _density(
    image: NDArray[np.uint8], glass: NDArray[np.float32]
) -> NDArray[np.float32]:
    planes = [
        -np.log10(np.maximum(image[..., i], 1).astype(np.float32) / white)
        for i, white in enumerate(glass)
    ]
    return np.asarray(np.clip(np.stack(planes), 0, 2.4), np.float32)


def _samples(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    total: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Draw tissue pixels of a tile; the same ones every time."""
    where = np.flatnonzero(total > _PALEST)
    if len(where) > _SAMPLES_A_TILE:
        where = np.random.default_rng(seed).choice(where, _SAMPLES_A_TILE)
    return np.stack([first.ravel()[where], second.ravel()[where]], 1)


def _shares(
    mask: Mask, mask_px: float, cell_px: float, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the share of each square that a mask of another scale covers."""
    sums = np.pad(mask.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    edges = [
        np.clip(np.round(np.arange(n + 1) * cell_px / mask_px).astype(int), 0, full)
        for n, full in zip(shape, mask.shape, strict=True)
    ]
    low_y, high_y = edges[0][:-1], np.maximum(edges[0][1:], edges[0][:-1] + 1)
    low_x, high_x = edges[1][:-1], np.maximum(edges[1][1:], edges[1][:-1] + 1)
    high_y, high_x = (
        np.minimum(high_y, mask.shape[0]),
        np.minimum(high_x, mask.shape[1]),
    )
    low_y, low_x = np.minimum(low_y, high_y - 1), np.minimum(low_x, high_x - 1)
    total = (
        sums[np.ix_(high_y, high_x)]
        - sums[np.ix_(low_y, high_x)]
        - sums[np.ix_(high_y, low_x)]
        + sums[np.ix_(low_y, low_x)]
    )
    area = (high_y - low_y)[:, None] * (high_x - low_x)[None, :]
    return np.asarray(total / np.maximum(area, 1))
