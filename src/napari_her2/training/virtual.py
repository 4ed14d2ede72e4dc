"""Training tiles from virtual slides, labelled by the truth of their own cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_her2.core.geometry import BoxPx, BoxUm
from napari_her2.core.score import Stain
from napari_her2.phantom.cells import CellKind, Epithelium
from napari_her2.phantom.parameters import Section
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.terrain import Terrain
from napari_her2.training.config import TrainingConfig
from napari_her2.training.labels import labels_of
from napari_her2.training.tiles import CELL_GRID_PX, N_PATTERNS, TrainingTile

_TUMOUR_CELLS = 60
_TRIES = 6
_REACH_UM = 20.0
_KNOT_PX = 16
_SLIDES_PER_SEED = 1_000_000
_GENERATOR_OFFSET = 250_000
_FAMILIARITY_OFFSET = 750_000


@dataclass(frozen=True, slots=True)
class VirtualTiles:
    """Tiles of virtual slide pairs, each slide drawn from its own seed.

    The first tile of a slide lies anywhere (unless ``tumour``), the others where
    there is tumour. All strata are drawn equally often.

    Parameters
    ----------
    first_seed, n_slides, tiles_per_slide
        Which slides, and how many tiles of each.
    core_px, halo_px, mpp
        Geometry of a tile.
    morphology_signal
        How strongly H&E carries the HER2 level.
    exact_alignment
        Whether the IHC follows the true deformation or only its affine part,
        which is what a reader's case has.
    section
        Whether the IHC is a neighbouring section or the same one restained.
    tumour
        Whether the first tile must hold tumour too.
    """

    first_seed: int
    n_slides: int
    tiles_per_slide: int
    core_px: int
    halo_px: int
    mpp: float
    morphology_signal: float
    exact_alignment: bool
    section: Section = "serial"
    tumour: bool = False

    @classmethod
    def for_generator(cls, config: TrainingConfig) -> Self:
        """Return restained slides for the generator, other than those scored.

        In a neighbouring section half of the cells are other cells: what no
        generator can know, an L1 loss answers with a blur.
        """
        return cls(
            config.seed * _SLIDES_PER_SEED + _GENERATOR_OFFSET,
            config.n_generator_slides,
            config.tiles_per_slide,
            config.core_px,
            config.halo_px,
            config.mpp,
            config.morphology_signal,
            exact_alignment=True,
            section="same",
        )

    @classmethod
    def for_training(cls, config: TrainingConfig) -> Self:
        """Return training and validation slides, aligned exactly."""
        return cls(
            config.seed * _SLIDES_PER_SEED,
            config.n_slides + config.n_validation_slides,
            config.tiles_per_slide,
            config.core_px,
            config.halo_px,
            config.mpp,
            config.morphology_signal,
            exact_alignment=True,
        )

    @staticmethod
    def for_familiarity(config: TrainingConfig) -> int:
        """Return the first seed of the slides that say what tissue is familiar."""
        return config.seed * _SLIDES_PER_SEED + _FAMILIARITY_OFFSET

    @property
    def tile_px(self) -> int:
        """Side of a tile with its halo."""
        return self.core_px + 2 * self.halo_px

    def render(self, slide: int) -> Sequence[TrainingTile]:
        """Return the tiles of one slide."""
        seed = self.first_seed + slide
        recipe = draw_recipe(
            seed,
            morphology_signal=self.morphology_signal,
            mpp=self.mpp,
            section=self.section,
        )
        pair = VirtualPair(recipe)
        rng = np.random.default_rng((seed, 7))
        return [
            self._tile(pair, self._place(pair, rng, tumour=index > 0 or self.tumour))
            for index in range(self.tiles_per_slide)
        ]

    def _place(
        self, pair: VirtualPair, rng: np.random.Generator, *, tumour: bool
    ) -> BoxPx:
        """Draw the core of a tile, in H&E pixels."""
        height, width = pair.shape_px(Stain.HE)
        for _ in range(_TRIES):
            y = int(rng.integers(self.halo_px, height - self.core_px - self.halo_px))
            x = int(rng.integers(self.halo_px, width - self.core_px - self.halo_px))
            core = BoxPx(y, x, y + self.core_px, x + self.core_px)
            if not tumour or len(_Cells(pair, core).pattern) >= _TUMOUR_CELLS:
                break
        return core

    def _tile(self, pair: VirtualPair, core: BoxPx) -> TrainingTile:
        tile = core.padded(self.halo_px)
        counts = _Cells(pair, tile).counts()
        ihc = _aligned_ihc(pair, tile, exact=self.exact_alignment)
        return TrainingTile(
            pair.render(Stain.HE, tile), ihc, labels_of(counts, self.halo_px), counts
        )


class _Cells:
    """The invasive cells of the IHC section over a box of the H&E slide."""

    def __init__(self, pair: VirtualPair, box_px: BoxPx) -> None:
        self._mpp = mpp = pair.recipe.mpp
        self._box_px = box_px
        box = box_px.to_um(mpp)
        around = box_px.padded(math.ceil(_REACH_UM / mpp)).to_um(mpp)
        terrain = Terrain(pair.recipe, around, pair.recipe.offset.depth_um)
        cells = Epithelium(terrain, around, Stain.IHC)
        mine = cells.kind == CellKind.INVASIVE
        mine &= _inside(box, cells.y_um, cells.x_um)
        self._y_um, self._x_um = cells.y_um[mine], cells.x_um[mine]
        self.pattern = cells.her2().pattern[mine]

    def counts(self) -> NDArray[np.uint8]:
        """Return cells per pattern on the grid, (h, w, 5)."""
        box = self._box_px
        height, width = (side // CELL_GRID_PX for side in box.shape)
        rows = ((self._y_um / self._mpp - box.y0) // CELL_GRID_PX).astype(int)
        columns = ((self._x_um / self._mpp - box.x0) // CELL_GRID_PX).astype(int)
        counts = np.zeros((height, width, N_PATTERNS), np.uint8)
        inside = (rows < height) & (columns < width)
        where = rows[inside], columns[inside], self.pattern[inside]
        np.add.at(counts, where, 1)
        return counts


def _inside(
    box: BoxUm, y_um: NDArray[np.floating[Any]], x_um: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    return (y_um >= box.y0) & (y_um < box.y1) & (x_um >= box.x0) & (x_um < box.x1)


def _aligned_ihc(pair: VirtualPair, tile: BoxPx, *, exact: bool) -> NDArray[np.uint8]:
    """Render the IHC as the H&E tile sees it; white outside the slide."""
    mpp = pair.recipe.mpp
    sides = [np.arange(0, side + _KNOT_PX, _KNOT_PX) for side in tile.shape]
    corner = np.array([tile.y0, tile.x0], float)
    knots = (np.stack(np.meshgrid(*sides, indexing="ij"), -1) + corner) * mpp
    mapped = (
        pair.from_he_um(Stain.IHC, knots) if exact else pair.he_to_ihc_um.apply(knots)
    )
    steps = np.meshgrid(
        *((np.arange(side) + 0.5) / _KNOT_PX for side in tile.shape), indexing="ij"
    )
    # from µm to pixel indices, whose centres lie at half pixels
    y, x = (
        map_coordinates(mapped[..., axis] / mpp, steps, order=1) - 0.5
        for axis in (0, 1)
    )
    needed = BoxPx(
        int(y.min()) - 1, int(x.min()) - 1, int(y.max()) + 3, int(x.max()) + 3
    ).intersect(BoxPx.of_shape(pair.shape_px(Stain.IHC)))
    if needed.is_empty:
        return np.full((*tile.shape, 3), 255, np.uint8)
    image = pair.render(Stain.IHC, needed).astype(np.float32)
    where = np.stack([y - needed.y0, x - needed.x0])
    channels = [
        map_coordinates(image[..., c], where, order=1, cval=255.0) for c in range(3)
    ]
    sampled: NDArray[np.float32] = np.rint(np.stack(channels, -1))
    return sampled.astype(np.uint8)
