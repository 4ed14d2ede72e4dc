"""The regions a bundle is measured on, with their truth and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.training.tiles import CELL_GRID_PX, TileCache, Tiles
from napari_her2.training.virtual import VirtualTiles

UNSEEN_SEED = 800_000_000
"""First slide seed of evaluations; training takes millions per training seed."""

_SLIDES_PER_SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class Geometry:
    """Tiles in the bundle's pixels: core, halo around it, µm per pixel."""

    core_px: int
    halo_px: int
    mpp: float

    def core(self, tile: Image) -> Image:
        """Cut the core out of a tile (t, t, 3)."""
        inside = slice(self.halo_px, self.halo_px + self.core_px)
        return tile[inside, inside]


@dataclass(frozen=True)
class Regions:
    """Regions with truth, one per tile of a data set.

    Parameters
    ----------
    tiles
        Images and labels.
    index
        The tiles taken, those with a label.
    geometry
        Of a tile.
    source, split, seeds
        What every table prints.
    """

    tiles: Tiles
    index: NDArray[np.intp]
    geometry: Geometry
    source: str
    split: str
    seeds: str

    def __len__(self) -> int:
        return len(self.index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by label."""
        return self.tiles.classes

    @property
    def labels(self) -> NDArray[np.intp]:
        """Class of every region."""
        labels: NDArray[np.intp] = np.asarray(self.tiles.labels)[self.index, 0]
        return labels.astype(np.intp)

    @property
    def slides(self) -> NDArray[np.intp]:
        """Slide of every region."""
        slides: NDArray[np.intp] = np.asarray(self.tiles.slides)[self.index]
        return slides.astype(np.intp)

    @property
    def n_slides(self) -> int:
        """Number of slides with a region."""
        return len(np.unique(self.slides))

    def tile(self, stain: Stain, region: int) -> Image:
        """Return a tile with its halo."""
        images = self.tiles.he if stain is Stain.HE else self.tiles.ihc
        return np.ascontiguousarray(images[int(self.index[region])])

    def core(self, stain: Stain, region: int) -> Image:
        """Return a region without the halo."""
        return self.geometry.core(self.tile(stain, region))

    def cells(self, region: int) -> list[int] | None:
        """Return how many invasive cells of each pattern a region has, if known."""
        counts = self.tiles.cells
        if counts is None:
            return None
        grid = np.asarray(counts[int(self.index[region])], np.int64)
        halo = self.geometry.halo_px // CELL_GRID_PX
        core = grid[halo : len(grid) - halo, halo : len(grid) - halo]
        patterns: list[int] = core.sum((0, 1)).tolist()
        return patterns

    def partners(self) -> NDArray[np.intp]:
        """Return for every region one of another slide, each taken once.

        Raises
        ------
        UsageError
            If all regions come from one slide.
        """
        if self.n_slides < 2:
            raise UsageError(
                "All regions come from one slide.", "Give at least two slides."
            )
        order = np.argsort(self.slides, kind="stable")
        # shifting by the largest slide leaves no region with its own slide
        _, counts = np.unique(self.slides, return_counts=True)
        partner = np.empty(len(self), np.intp)
        partner[order] = np.roll(order, int(counts.max()))
        same = self.slides[partner] == self.slides
        for region in np.flatnonzero(same):
            partner[region] = int(np.flatnonzero(self.slides != self.slides[region])[0])
        return partner

    def first_of_slides(self, n_regions: int) -> Regions:
        """Return about ``n_regions`` of the regions, whole slides, the first ones."""
        slides = self.slides
        per_slide = len(self) / self.n_slides
        kept = np.unique(slides)[: max(2, round(n_regions / per_slide))]
        return Regions(
            self.tiles,
            self.index[np.isin(slides, kept)],
            self.geometry,
            self.source,
            self.split,
            self.seeds,
        )

    def facts(self) -> dict[str, object]:
        """Return what every table prints beside its numbers."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {
            "source": self.source,
            "split": self.split,
            "seeds": self.seeds,
            "n_regions": len(self),
            "n_slides": self.n_slides,
            "region_px": self.geometry.core_px,
            "mpp": self.geometry.mpp,
            "regions_per_class": dict(zip(self.classes, counts.tolist(), strict=True)),
            "majority_class": self.classes[int(counts.argmax())],
            "majority_accuracy": round(float(counts.max() / max(1, counts.sum())), 5),
        }


@dataclass(frozen=True, slots=True)
class VirtualRegions:
    """Virtual slides never seen in training, as a request.

    Parameters
    ----------
    n_slides, per_slide
        How many, and regions of each: the first anywhere, the others on tumour.
    signal
        How strongly H&E carries the HER2 level, 0 to 1.
    seed
        Another seed gives other slides.
    geometry
        Of the bundle.
    """

    n_slides: int
    per_slide: int
    signal: float
    seed: int
    geometry: Geometry

    @property
    def first_seed(self) -> int:
        """Seed of the first slide."""
        return UNSEEN_SEED + self.seed * _SLIDES_PER_SEED

    @property
    def name(self) -> str:
        """Name of the cache folder."""
        side = self.geometry.core_px
        return (
            f"signal-{self.signal:g}-seed-{self.seed}-{self.n_slides}x{self.per_slide}"
            f"-{side}px"
        )

    def render(self, cache: Path, processes: int) -> Iterator[EvaluationProgress]:
        """Render the slides that are not in the cache yet."""
        for step in self._cache(cache).fill(processes):
            yield EvaluationProgress(
                f"slides, signal {self.signal:g}", step.step, step.n_steps
            )

    def open(self, cache: Path) -> Regions:
        """Return the rendered regions."""
        tiles = self._cache(cache)
        last = self.first_seed + self.n_slides - 1
        return Regions(
            cast("Tiles", tiles),
            np.arange(len(tiles)),
            self.geometry,
            "virtual tissue drawn by a program, labelled by the truth of its own "
            f"cells; morphology signal {self.signal:g}; the IHC is a neighbouring "
            "section, aligned by the affine part of the true transform",
            "slides never seen in training, grouped by slide",
            f"evaluation seed {self.seed}, slides {self.first_seed} to {last}",
        )

    def _cache(self, cache: Path) -> TileCache:
        geometry = self.geometry
        return TileCache(
            cache / self.name,
            VirtualTiles(
                self.first_seed,
                self.n_slides,
                self.per_slide,
                geometry.core_px,
                geometry.halo_px,
                geometry.mpp,
                self.signal,
                exact_alignment=False,
            ),
        )
