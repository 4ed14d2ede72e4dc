"""A pair of virtual slides that exist only where they are looked at."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import Affine, BoxPx, BoxUm
from napari_her2.core.membrane import MembraneShares, PatternCounts
from napari_her2.core.score import Stain
from napari_her2.phantom import optics
from napari_her2.phantom.carcinoma import paint_carcinoma
from napari_her2.phantom.cells import CellKind, Epithelium
from napari_her2.phantom.deformation import SectionTransform
from napari_her2.phantom.ducts import DuctKind
from napari_her2.phantom.glands import paint_duct
from napari_her2.phantom.ground import Ground
from napari_her2.phantom.noise import Floats, look_up, smooth_texture
from napari_her2.phantom.parameters import PhantomRecipe, Staining
from napari_her2.phantom.stroma import (
    find_fat,
    paint_fat,
    paint_fibres,
    paint_lymphocytes,
)
from napari_her2.phantom.terrain import Terrain

BLOCK_PX = 256
REGION_PX = 1024
SURVEY_UM = 2048.0
_WAVE_STEP_PX = 16
_REACH_UM = 20.0


class VirtualPair:
    """The two slides of a recipe, rendered on demand from any thread.

    A pixel depends on the recipe and its place alone, so any tile equals the same
    part of the whole slide. Memory is bounded by the tile asked for.
    """

    def __init__(self, recipe: PhantomRecipe) -> None:
        self.recipe = recipe
        self.transform = SectionTransform.of_recipe(recipe)

    @property
    def he_to_ihc_um(self) -> Affine:
        """The affine part of the transform between the sections, in µm."""
        return self.transform.he_to_ihc_um

    def shape_px(self, stain: Stain) -> tuple[int, int]:
        """(height, width) of a slide; both are the same size."""
        recipe = self.recipe
        return round(recipe.height_um / recipe.mpp), round(recipe.width_um / recipe.mpp)

    def render(self, stain: Stain, box_px: BoxPx) -> NDArray[np.uint8]:
        """Render part of a slide, shape (h, w, 3).

        Raises
        ------
        UsageError
            If the box is empty or leaves the slide.
        """
        whole = BoxPx.of_shape(self.shape_px(stain))
        if box_px.is_empty or box_px.intersect(whole) != box_px:
            raise UsageError(
                f"Box {box_px.as_tuple()} does not lie in the slide of {whole.shape}.",
                "Give a box inside the slide.",
            )
        out = np.empty((*box_px.shape, 3), np.uint8)
        for part in self.parts(box_px):
            for region in _cut(part, REGION_PX):
                self._render_region(stain, region, box_px, out)
        return out

    def tile_truth(self, stain: Stain, box_px: BoxPx) -> tuple[int, MembraneShares]:
        """Count the invasive cells in a box of a slide, and their patterns."""
        pattern = self.invasive_patterns(stain, box_px)
        return int(pattern.size), PatternCounts.from_cells(pattern).shares()

    def invasive_patterns(self, stain: Stain, box_px: BoxPx) -> NDArray[np.int8]:
        """Return the membrane pattern of every invasive cell in a box."""
        found = []
        for part in self.parts(box_px):
            _, _, cells = self.survey(stain, part)
            mine = cells.kind == CellKind.INVASIVE
            mine &= self.in_box(stain, part, cells.y_um, cells.x_um)
            found.append(cells.her2().pattern[mine])
        return np.concatenate(found)

    def parts(self, box_px: BoxPx) -> list[BoxPx]:
        """Cut a box into parts whose survey needs little memory."""
        return _cut(box_px, max(64, int(SURVEY_UM / self.recipe.mpp)))

    def staining(self, stain: Stain) -> Staining:
        """Return the dyes and the scanner of one slide."""
        return self.recipe.he if stain is Stain.HE else self.recipe.ihc

    def to_he_um(self, stain: Stain, points_um: Floats) -> Floats:
        """Map points (..., 2) of a slide in µm to the H&E frame."""
        return points_um if stain is Stain.HE else self.transform.ihc_to_he(points_um)

    def from_he_um(self, stain: Stain, points_um: Floats) -> Floats:
        """Map points (..., 2) of the H&E frame to a slide in µm."""
        return points_um if stain is Stain.HE else self.transform.he_to_ihc(points_um)

    def survey(self, stain: Stain, box_px: BoxPx) -> tuple[Terrain, BoxUm, Epithelium]:
        """Return the terrain around a box of a slide, its place and its cells."""
        box = box_px.to_um(self.recipe.mpp)
        edge = np.linspace(0, 1, 9)
        ys, xs = box.y0 + (box.y1 - box.y0) * edge, box.x0 + (box.x1 - box.x0) * edge
        grid = np.stack(np.meshgrid(ys, xs, indexing="ij"), -1)
        points = self.to_he_um(stain, grid)
        low, high = points.min((0, 1)) - _REACH_UM, points.max((0, 1)) + _REACH_UM
        around = BoxUm(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        depth_um = 0.0 if stain is Stain.HE else self.recipe.offset.depth_um
        terrain = Terrain(self.recipe, around, depth_um)
        return terrain, around, Epithelium(terrain, around, stain)

    def in_box(
        self, stain: Stain, box_px: BoxPx, y_um: Floats, x_um: Floats
    ) -> NDArray[np.bool_]:
        """Tell which places of the H&E frame lie in a box of a slide."""
        points = self.from_he_um(stain, np.stack([y_um, x_um], -1)) / self.recipe.mpp
        inside: NDArray[np.bool_] = (
            (points[..., 0] >= box_px.y0)
            & (points[..., 0] < box_px.y1)
            & (points[..., 1] >= box_px.x0)
            & (points[..., 1] < box_px.x1)
        )
        return inside

    def nuclei_at(self, stain: Stain, places_um: Floats) -> NDArray[np.uint8]:
        """Tell whose nucleus shows at places of a slide.

        Parameters
        ----------
        places_um
            (n, 2) y, x in µm on the slide.

        Returns
        -------
        kinds
            (n,) of :class:`~napari_her2.phantom.ground.NucleusKind`; of overlapping
            nuclei the upper one, 0 where a place shows none.
        """
        kinds = np.zeros(len(places_um), np.uint8)
        he_um, mpp = self.to_he_um(stain, places_um), self.recipe.mpp
        for part in self.parts(BoxPx.of_shape(self.shape_px(stain))):
            mine = np.flatnonzero(self.in_box(stain, part, *he_um.T))
            if mine.size:
                terrain, _, cells = self.survey(stain, part)
                y_um, x_um = np.ascontiguousarray(he_um[mine].T)
                painted = _paint(terrain, cells, stain, mpp, y_um, x_um)
                kinds[mine] = painted.nuclei
        return kinds

    def _render_region(
        self, stain: Stain, region: BoxPx, box_px: BoxPx, out: NDArray[np.uint8]
    ) -> None:
        staining, mpp = self.staining(stain), self.recipe.mpp
        halo = optics.blur_passes(staining, mpp)
        terrain, _, cells = self.survey(stain, region.padded(halo))
        noise_seed = self.recipe.seed * 64 + (31 if stain is Stain.HE else 32)
        for block in _cut(region, BLOCK_PX):
            place = (
                slice(block.y0 - box_px.y0, block.y1 - box_px.y0),
                slice(block.x0 - box_px.x0, block.x1 - box_px.x0),
            )
            grown = block.padded(halo)
            y_um, x_um = self._places(stain, grown)
            ground = _paint(terrain, cells, stain, mpp, y_um.ravel(), x_um.ravel())
            h, second, focus = _dyes(ground, staining, y_um.shape)
            light = optics.transmit(staining, h, second)
            light = optics.blur(light, staining, mpp, focus)
            out[place] = optics.record(light, staining, noise_seed, block)

    def _places(self, stain: Stain, box: BoxPx) -> tuple[Floats, Floats]:
        """Places in the H&E frame of the pixel centres of a box, each (h, w).

        The smooth deformation is interpolated between fixed points of the slide;
        that is exact to a hundredth of a micrometre.
        """
        mpp = self.recipe.mpp
        rows, cols = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
        y = (rows[:, None] + 0.5) * mpp + np.zeros(box.shape)
        x = (cols[None, :] + 0.5) * mpp + np.zeros(box.shape)
        if stain is Stain.HE:
            return y, x
        step = _WAVE_STEP_PX
        row0, col0 = box.y0 // step, box.x0 // step
        knots = np.stack(
            np.meshgrid(
                np.arange(row0, box.y1 // step + 2) * step * mpp,
                np.arange(col0, box.x1 // step + 2) * step * mpp,
                indexing="ij",
            ),
            -1,
        )
        affine = self.he_to_ihc_um.inverse().matrix
        rest = self.transform.ihc_to_he(knots)
        rest -= knots @ affine[:2, :2].T + affine[:2, 2]
        where = np.meshgrid(
            (rows + 0.5) / step - row0, (cols + 0.5) / step - col0, indexing="ij"
        )
        moved = [
            affine[axis, 0] * y
            + affine[axis, 1] * x
            + affine[axis, 2]
            + map_coordinates(rest[..., axis], where, order=1)
            for axis in (0, 1)
        ]
        return moved[0], moved[1]


def _paint(
    terrain: Terrain,
    cells: Epithelium,
    stain: Stain,
    mpp: float,
    y_um: Floats,
    x_um: Floats,
) -> Ground:
    """Lay all tissue at some places (flat), the nearest to the eye last."""
    ground = Ground(terrain, stain, mpp, y_um, x_um)
    box = BoxUm(y_um.min(), x_um.min(), y_um.max(), x_um.max())
    tissue = ground.outline > -mpp
    if not tissue.any():
        return ground
    open_ground = tissue & (ground.nest < 20) & (ground.duct < 4)
    fat, edge = find_fat(ground, np.flatnonzero(open_ground), box)
    fibrous = open_ground.copy()
    fibrous[fat] = False
    paint_fibres(ground, np.flatnonzero(fibrous))
    paint_fat(ground, fat, edge)
    deep = np.flatnonzero(tissue & (ground.nest >= 20))
    ground.h[deep] = 0.1
    ground.second[deep] = 0.35 if ground.is_he else 0.0
    crowd = fibrous & (ground.field("lymph") > -0.6)
    paint_lymphocytes(ground, np.flatnonzero(crowd & (ground.duct < 0)), box)
    in_situ = False
    for duct in terrain.ducts:
        paint_duct(ground, duct, box)
        in_situ |= duct.kind is DuctKind.IN_SITU
    near = ground.nest > -16
    if in_situ:
        near |= ground.duct > 0
    paint_carcinoma(ground, cells, np.flatnonzero(near & tissue))
    return ground


def _dyes(
    ground: Ground, staining: Staining, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return haematoxylin, second dye and defocus of one block, each (h, w)."""
    strength = 1 + staining.unevenness * np.clip(ground.field("thick"), -2, 2)
    y32, x32 = ground.y_um.astype(np.float32), ground.x_um.astype(np.float32)
    speck = look_up(smooth_texture(3.0, 9), y32 * 5.5, x32 * 5.5)
    strength *= 1 + np.float32(staining.grain) * np.clip(speck, -2.5, 2.5)
    h = ground.h * (strength * np.float32(staining.nuclear_od))
    second = ground.second * (strength * np.float32(staining.second_od))
    return h.reshape(shape), second.reshape(shape), ground.field("focus").reshape(shape)


def _cut(box: BoxPx, size_px: int) -> list[BoxPx]:
    """Cut a box into nearly equal parts of at most ``size_px`` a side."""
    rows = np.linspace(box.y0, box.y1, math.ceil(box.height / size_px) + 1).astype(int)
    cols = np.linspace(box.x0, box.x1, math.ceil(box.width / size_px) + 1).astype(int)
    return [
        BoxPx(int(y0), int(x0), int(y1), int(x1))
        for y0, y1 in itertools.pairwise(rows)
        for x0, x1 in itertools.pairwise(cols)
    ]
