"""Pooled features of whole cores in every arm, computed once.

Attention and head see a map only through its mean, its maximum and the mean of
its peaks. With those of every training core on disk, the head learns cores of
full size in seconds, comparison arms cost next to nothing, and calibration and
gate are fitted on the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.models.classifier import (
    Her2Classifier,
    StainFeatures,
    cells_of,
    masked_mean,
)
from napari_her2.models.generator import Generator
from napari_her2.models.network import to_uint8
from napari_her2.training.augment import to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import mixed_precision, training_device
from napari_her2.training.progress import TrainProgress, TrainStage
from napari_her2.training.tiles import CELL_GRID_PX, N_PATTERNS, Tiles

ARMS = tuple(Arm)
FUSED, MASKED_MEAN = 0, 1
"""Third axis of the values: the learned fusion, or the mean of the maps there."""

QUARTERS = 4


class PooledCores:
    """Pooled features of the cores of tiles, on disk.

    Attributes
    ----------
    values
        float32 (n, arms, 2, 5, 3, C + P): arms; fusion; the whole core and its
        four quarters, row by row; mean, maximum and mean of peaks; channels of the
        map and the cells counted on it.
    rows, slides
        int (n,), the tiles and their slides.
    labels
        int64 (n,), their labels.
    cells
        int64 (n, 4, 5), cells by pattern in the quarters, None where not known.
    learned
        bool (n,), whether a tile is one to train on (its colours were varied).
    """

    def __init__(
        self,
        folder: Path,
        tiles: Tiles,
        learned: NDArray[np.intp],
        watched: NDArray[np.intp],
        config: TrainingConfig,
        arms: tuple[Arm, ...] = ARMS,
    ) -> None:
        self.tiles, self.config, self.arms = tiles, config, arms
        self.rows = np.concatenate([learned, watched])
        self.learned = np.arange(len(self.rows)) < len(learned)
        self.labels = np.asarray(tiles.labels)[self.rows, 0].astype(np.int64)
        self.slides = np.asarray(tiles.slides)[self.rows]
        self.cells = self._cells()
        width = config.network.feature_width + config.network.cell_patterns
        shape = (len(self.rows), len(arms), 2, 1 + QUARTERS, 3, width)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "pooled.npy"
        self._done_path = folder / "done.npy"
        if self._path.exists():
            self.values = np.lib.format.open_memmap(self._path, "r+")
            self._done = np.lib.format.open_memmap(self._done_path, "r+")
        else:
            self.values = np.lib.format.open_memmap(
                self._path, "w+", dtype=np.float32, shape=shape
            )
            self._done = np.lib.format.open_memmap(
                self._done_path, "w+", dtype=np.uint8, shape=(len(self.rows),)
            )

    def _cells(self) -> NDArray[np.int64] | None:
        side = self.config.core_px // self.config.network.encoder_stride
        if self.tiles.cells is None or side % 2:
            return None
        halo = self.config.halo_px // CELL_GRID_PX
        half = self.config.core_px // CELL_GRID_PX // 2
        counts = np.empty((len(self.rows), QUARTERS, N_PATTERNS), np.int64)
        for number, row in enumerate(self.rows):
            core = np.asarray(self.tiles.cells[row])[halo:, halo:]
            for quarter in range(QUARTERS):
                y, x = half * (quarter // 2), half * (quarter % 2)
                part = core[y : y + half, x : x + half]
                counts[number, quarter] = part.reshape(-1, N_PATTERNS).sum(0)
        return counts

    def fill(
        self,
        classifier: Her2Classifier,
        generators: Mapping[str, Generator],
        mean_count: nn.Module,
    ) -> Iterator[TrainProgress]:
        """Compute what is missing; ``mean_count`` counts on the mean of the maps."""
        classifier.eval()
        pooler = _Pooler(
            classifier, generators, mean_count, self.config.halo_px, self.arms
        )
        for number, row in enumerate(self.rows):
            if not self._done[number]:
                he = to_tensor([self.tiles.he[row]])
                ihc = to_tensor([self.tiles.ihc[row]])
                if self.learned[number]:
                    rng = np.random.default_rng((self.config.seed, 11, int(row)))
                    he, ihc = vary_he(he, rng), vary_ihc(ihc, rng)
                self.values[number] = pooler(he, ihc).numpy()
                self._done[number] = 1
            yield TrainProgress(TrainStage.POOLING, number + 1, len(self.rows))


class _Pooler:
    """Runs generators and encoders on one tile, with all arms."""

    def __init__(
        self,
        classifier: Her2Classifier,
        generators: Mapping[str, Generator],
        mean_count: nn.Module,
        halo_px: int,
        arms: tuple[Arm, ...],
    ) -> None:
        self.classifier, self.generators = classifier, generators
        self.mean_count = mean_count
        self.halo_px, self.arms = halo_px, arms

    @torch.inference_mode()
    def __call__(self, he_tile: Tensor, ihc_tile: Tensor) -> Tensor:
        """Return (arms, 2, 5, 3, C + P) of tiles (1, 3, t, t) in [0, 1]."""
        device = training_device()
        given = self._given(he_tile.to(device), ihc_tile.to(device))
        pooled = []
        for arm in self.arms:
            features = given[arm]
            result, mean = self.classifier.combine(features), masked_mean(features)
            maps = [result.fused, mean]
            if result.cell_logits is not None:
                counted = (result.cell_logits, self.mean_count(mean))
                maps = [
                    torch.cat([part, cells_of(cells)], 1)
                    for part, cells in zip(maps, counted, strict=True)
                ]
            pooled.append(torch.stack([pool_parts(part) for part in maps]))
        return torch.stack(pooled).cpu()

    def _given(
        self, he_tile: Tensor, ihc_tile: Tensor
    ) -> dict[Arm, dict[Stain, StainFeatures]]:
        """Return the features that each arm has."""
        he, ihc = Stain.HE, Stain.IHC
        if self.arms == (Arm.HE,):
            return {Arm.HE: self.classifier.encode(self._core(he_tile), None)}
        real = self.classifier.encode(self._core(he_tile), self._core(ihc_tile))
        rebuilt = self.classifier.encode(
            self._rebuild("ihc_to_he", ihc_tile), self._rebuild("he_to_ihc", he_tile)
        )
        return {
            Arm.BOTH: real,
            Arm.HE_RECONSTRUCTED: {he: real[he], ihc: rebuilt[ihc]},
            Arm.HE: {he: real[he]},
            Arm.IHC_RECONSTRUCTED: {he: rebuilt[he], ihc: real[ihc]},
            Arm.IHC: {ihc: real[ihc]},
        }

    def _rebuild(self, direction: str, tile: Tensor) -> Tensor:
        with mixed_precision():
            fake = self.generators[direction](tile * 2 - 1)
        return to_uint8(self._core(fake).float()).float() / 255

    def _core(self, image: Tensor) -> Tensor:
        halo = self.halo_px
        return image[..., halo:-halo, halo:-halo]


def pool_parts(features: Tensor) -> Tensor:
    """Return (5, 3, C) of a map (1, C, a, a): pooled whole, and by its quarters.

    A map with an odd side has no quarters; the whole stands for them.
    """
    whole, side = pool(features), features.shape[-1]
    if side % 2:
        return whole.expand(1 + QUARTERS, -1, -1)
    half = side // 2
    parts = [
        pool(features[..., y : y + half, x : x + half])
        for y in (0, half)
        for x in (0, half)
    ]
    return torch.stack([whole, *parts])


def pool(features: Tensor) -> Tensor:
    """Return (3, C) of a map (1, C, a, a): mean, maximum, mean of the peaks."""
    peaks = functional.max_pool2d(features, 3, stride=2, padding=1)
    pooled = [features.mean((2, 3)), features.amax((2, 3)), peaks.mean((2, 3))]
    return torch.cat(pooled)
