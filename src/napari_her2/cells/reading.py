"""Find and measure the cells of a slide, tile by tile.

Everything that is learned about a slide, its glass, its dyes, how strong its nuclei
are, is learned once from places spread over it; then each tile is read by itself. The
tiles lie on a grid fixed to the slide, so that two views that share a tile see the same
cells in it, and a tile that was kept is not read again. A cell belongs to the tile in
which the middle of its nucleus lies, and a tile is read with a halo as wide as the
largest cell, so that a cell on a border is found once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.cells.detector import Detector, Labels, at_scale
from napari_her2.cells.dyes import DyeMaps
from napari_her2.cells.membrane import MembraneRays, trace_membranes
from napari_her2.cells.nuclei import (
    NucleusScale,
    find_nuclei,
    measure_scale,
    nuclear_dye,
    without_gaps,
)
from napari_her2.cells.outline import grow_cells
from napari_her2.cells.shape import measure_parts
from napari_her2.cells.staining import StainingLimits, read_staining
from napari_her2.cells.table import cell_table, no_cells
from napari_her2.cells.tumour import tumour_score
from napari_her2.cells.tumour_area import TumourArea
from napari_her2.core.errors import SlideError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.score import Stain
from napari_her2.slides.resample import read_mapped
from napari_her2.slides.slide import Slide
from napari_her2.slides.tissue import find_tissue
from napari_her2.stain.density import optical_density, white_of
from napari_her2.stain.vectors import StainVectors, fit_vectors, unmix

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

MPP: Final = 0.5
"""Every slide is read at this scale, so that thresholds mean the same."""

COARSEST_MPP: Final = 1.0
METHOD_VERSION: Final = 4
"""Raised whenever another cell would be found, or the same one read otherwise."""

TILE_PX: Final = 512
HALO_PX: Final = 64
EDGE_UM: Final = 3.0
"""Cells nearer to the edge of the image are cut and not counted."""

_SAMPLE_PX: Final = 512
_SAMPLES: Final = 12
_DYE_SAMPLES: Final = 6
_LEAST_TISSUE: Final = 0.002


@dataclass(frozen=True, slots=True)
class SlideLook:
    """What is learned about a slide before its cells are read.

    Where there is a ``detector`` it finds the nuclei, and ``nuclei`` is not used.
    """

    stain: Stain
    white: tuple[float, float, float]
    vectors: StainVectors
    nuclei: NucleusScale
    detector: Detector | None = None


@dataclass(frozen=True, slots=True)
class CellsDone:
    """The cells of one tile, and how much of the work is done, in [0, 1]."""

    cells: pa.Table
    done: float


Keep = Callable[[BoxPx, Callable[[], pa.Table]], pa.Table]
"""Returns the cells of a tile: those that were kept, else those it has read."""


def look_at(
    slide: Slide,
    stain: Stain,
    region_px: BoxPx | None = None,
    area: TumourArea | None = None,
) -> SlideLook:
    """Learn the glass, the dyes and the nuclei of a slide, or of a part of it.

    The part is a box, or the tiles that outlines reach into.

    Raises
    ------
    SlideError
        If the scale is unknown or too coarse, or there is no tissue.
    """
    white, density, vectors = _sample(slide, stain, region_px, area, _SAMPLES)
    nuclear = [nuclear_dye(*unmix(one, vectors)) for one in density]
    r, g, b = (float(channel) for channel in white)
    return SlideLook(stain, (r, g, b), vectors, measure_scale(nuclear, MPP))


def sample_dyes(slide: Slide, area: TumourArea | None = None) -> list[DyeMaps]:
    """Return the dyes at some places of an IHC slide, or of an area of it.

    At most six places of 256 µm, spread over the tissue, at 0.5 µm/px.

    Raises
    ------
    SlideError
        If the scale is unknown or too coarse, or there is no tissue.
    """
    box = None if area is None else area.bounds
    _, blocks, vectors = _sample(slide, Stain.IHC, box, area, _DYE_SAMPLES)
    return [DyeMaps(vectors, one, *unmix(one, vectors)) for one in blocks]


def read_cells(
    slide: Slide,
    look: SlideLook,
    *,
    region_px: BoxPx | None = None,
    area: TumourArea | None = None,
    limits: StainingLimits | None = None,
    keep: Keep | None = None,
) -> Iterator[CellsDone]:
    """Read the cells of a slide, or those whose nucleus lies in a part of it.

    Of an area that was drawn the tiles are read that it reaches into, and those cells
    are returned that lie in it.

    Yields after every tile with tissue; closing the generator stops it. The tumour
    is proposed at the end by :func:`propose_tumour`, for all cells together.

    Parameters
    ----------
    region_px
        Box in level-0 pixels. Its tiles are read whole.
    keep
        Where tiles that were read before come from; each is read without it.
    """
    tiles = _tissue_tiles(slide, region_px, TILE_PX, area)
    for number, tile in enumerate(tiles, start=1):
        read = partial(_read_tile, slide, look, tile, limits or StainingLimits())
        cells = read() if keep is None else keep(tile, read)
        yield CellsDone(_inside(cells, region_px, area), number / len(tiles))


def _inside(
    cells: pa.Table, region_px: BoxPx | None, area: TumourArea | None
) -> pa.Table:
    places = np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1)
    is_in = np.ones(len(places), bool)
    if region_px is not None:
        low, high = (region_px.y0, region_px.x0), (region_px.y1, region_px.x1)
        is_in &= ((places >= low) & (places < high)).all(1)
    if area is not None:
        is_in &= area.contains(places)
    return cells.filter(pa.array(is_in))


def propose_tumour(cells: pa.Table, mpp: float) -> pa.Table:
    """Fill ``tumour_score`` and ``is_tumour`` of cells of a slide of that scale."""
    if not cells.num_rows:
        return cells
    places = np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1)
    completeness = np.nan_to_num(cells["completeness"].to_numpy())
    score = tumour_score(
        places * mpp,
        cells["area_um2"].to_numpy(),
        cells["elongation"].to_numpy(),
        cells["haematoxylin_od"].to_numpy(),
        completeness,
    )
    names = cells.column_names
    for name, values in (("tumour_score", score), ("is_tumour", score > 0)):
        cells = cells.set_column(names.index(name), name, pa.array(values))
    return cells


def _sample(
    slide: Slide,
    stain: Stain,
    region_px: BoxPx | None,
    area: TumourArea | None,
    most: int,
) -> tuple[Floats, list[Floats], StainVectors]:
    """Return the glass, optical densities of some places with tissue, and the dyes."""
    tiles = _tissue_tiles(slide, region_px, _SAMPLE_PX, area, is_cut=True)
    if not tiles:
        where = "" if region_px is None else " in the region"
        raise SlideError(slide.path, f"no tissue is found{where}.", "Check the image.")
    chosen = tiles[:: max(1, len(tiles) // most)][:most]
    blocks = [_read(slide, tile) for tile in chosen]
    coarse = np.asarray(slide.levels[-1]).reshape(1, -1, 3)
    seen = np.concatenate([block.reshape(1, -1, 3) for block in (*blocks, coarse)], 1)
    white = white_of(seen)
    density = [optical_density(block, white) for block in blocks]
    vectors = fit_vectors(
        np.concatenate([one[::3, ::3].reshape(-1, 3) for one in density]), stain
    )
    return white, density, vectors


def _mpp_of(slide: Slide) -> float:
    if slide.mpp is None:
        raise SlideError(
            slide.path, "its scale is unknown.", "Give the µm per pixel (--mpp)."
        )
    if slide.mpp > COARSEST_MPP:
        raise SlideError(
            slide.path,
            f"{slide.mpp:g} µm/px is too coarse for cells.",
            f"Scan it at {COARSEST_MPP:g} µm/px or finer.",
        )
    return slide.mpp


def _tissue_tiles(
    slide: Slide,
    region_px: BoxPx | None,
    side_px: int,
    area: TumourArea | None = None,
    *,
    is_cut: bool = False,
) -> list[BoxPx]:
    """Return the tiles (px of the reading) that hold tissue, on a fixed grid.

    Those that reach beyond the region are whole, or cut to it.
    """
    step = MPP / _mpp_of(slide)
    height, width = (round(side / step) for side in slide.shape)
    if min(height, width) < 1:
        return []
    tissue = find_tissue(slide)
    found, places = [], []
    for y0 in range(0, height, side_px):
        for x0 in range(0, width, side_px):
            tile = BoxPx(y0, x0, min(y0 + side_px, height), min(x0 + side_px, width))
            place = _level0(tile, step)
            within = place if region_px is None else place.intersect(region_px)
            if is_cut:
                place, tile = within, _reading_px(within, step)
            if within.is_empty or tissue.share(place, _mpp_of(slide)) < _LEAST_TISSUE:
                continue
            places.append(place)
            found.append(tile)
    if area is not None:
        found = [found[k] for k in np.flatnonzero(area.reaches(places))]
    return found


def _level0(box: BoxPx, step: float) -> BoxPx:
    return BoxPx(*(round(side * step) for side in box.as_tuple()))


def _reading_px(box: BoxPx, step: float) -> BoxPx:
    return BoxPx(*(round(side / step) for side in box.as_tuple()))


def _read(slide: Slide, box: BoxPx, mpp: float = MPP) -> Image:
    """Return what lies in a box (px of the reading), at any scale."""
    corner, step = MPP / _mpp_of(slide), mpp / _mpp_of(slide)
    to_level0 = Affine(((step, 0.0, box.y0 * corner), (0.0, step, box.x0 * corner)))
    height, width = (round(side * MPP / mpp) for side in box.shape)
    return read_mapped(slide, to_level0, (height, width))


def _detect(slide: Slide, detector: Detector, box: BoxPx) -> Labels:
    found = detector.find(_read(slide, box, detector.mpp))
    return at_scale(found, box.shape, MPP)


def _read_tile(
    slide: Slide, look: SlideLook, tile: BoxPx, limits: StainingLimits
) -> pa.Table:
    around = tile.padded(HALO_PX)
    image = _read(slide, around)
    density = optical_density(image, np.array(look.white, np.float32))
    haematoxylin, second = unmix(density, look.vectors)
    is_ihc = look.stain is Stain.IHC
    if look.detector is None:
        blue = nuclear_dye(haematoxylin, second)
        nuclei = without_gaps(find_nuclei(blue, MPP, look.nuclei), haematoxylin)
    else:
        nuclei = _detect(slide, look.detector, around)
    n = int(nuclei.max())
    if n == 0:
        return no_cells()
    parts = measure_parts(nuclei, n, MPP)
    cells = grow_cells(nuclei, second if is_ihc else np.zeros_like(second), MPP)
    rays = trace_membranes(nuclei, cells, second, MPP)
    number = np.arange(1, n + 1)
    y, x = parts.y_px[1:] + 0.5 - HALO_PX, parts.x_px[1:] + 0.5 - HALO_PX
    mine = (y >= 0) & (y < tile.height) & (x >= 0) & (x < tile.width)
    step = MPP / _mpp_of(slide)
    y0, x0 = (y + tile.y0) * step, (x + tile.x0) * step
    far_px = EDGE_UM / _mpp_of(slide)
    height, width = slide.shape
    mine &= (y0 > far_px) & (y0 < height - far_px)
    mine &= (x0 > far_px) & (x0 < width - far_px)
    unknown = np.full(n, np.nan)
    columns = {
        "y_px": y0,
        "x_px": x0,
        "area_um2": parts.area_um2[1:],
        "elongation": parts.elongation[1:],
        "haematoxylin_od": ndimage.mean(haematoxylin, nuclei, number),
        "nucleus_dab_od": ndimage.mean(second, nuclei, number) if is_ihc else unknown,
        "tumour_score": unknown,
        "is_tumour": np.zeros(n, bool),
        "outline_um": rays.border_um,
        **(_staining(rays, limits) if is_ihc else _no_staining(n)),
    }
    return cell_table(**{name: values[mine] for name, values in columns.items()})


def _no_staining(n: int) -> dict[str, NDArray[np.generic]]:
    """Fill the columns of DAB for a slide without it."""
    ranks = ("intensity", "completeness_class", "pattern")
    densities = ("cytoplasm_dab_od", "membrane_od", "completeness")
    return {
        **{name: np.zeros(n, np.int8) for name in ranks},
        **{name: np.full(n, np.nan) for name in densities},
    }


def _staining(
    rays: MembraneRays, limits: StainingLimits
) -> dict[str, NDArray[np.generic]]:
    read = read_staining(rays, limits)
    return {
        "cytoplasm_dab_od": np.median(rays.cytoplasm, axis=1),
        "membrane_od": read.membrane_od,
        "completeness": read.completeness,
        "intensity": read.intensity,
        "completeness_class": read.completeness_class,
        "pattern": read.pattern,
        "outline_um": read.outline_um,
    }
