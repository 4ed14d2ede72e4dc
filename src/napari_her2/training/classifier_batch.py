"""What a step of stage B shows: crops of both stains, and which are missing."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.labels import label_of
from napari_her2.training.tiles import CELL_GRID_PX, Tiles


@dataclass(frozen=True, slots=True)
class Missing:
    """Which stain of each sample (B,) is missing, never both.

    ``rebuilt`` (B,) is whether a generator fills in what is missing; else the other
    stain's shared features do.
    """

    he: NDArray[np.bool_]
    ihc: NDArray[np.bool_]
    rebuilt: NDArray[np.bool_]

    @classmethod
    def one_of_each(cls, rng: Rng, count: int, ihc_share: float) -> Self:
        """Draw samples of one stain each; this share shows the IHC."""
        luck, _ = rng.random((2, count))  # as many as below, for any seed
        return cls(luck < ihc_share, luck >= ihc_share, np.zeros(count, np.bool_))

    @classmethod
    def at_random(
        cls, rng: Rng, count: int, chance: float, rebuilt_share: float
    ) -> Self:
        """Draw samples of which either stain is missing with a chance."""
        luck, rebuilt = rng.random((2, count))
        no_ihc = (luck >= chance) & (luck < 2 * chance)
        return cls(luck < chance, no_ihc, rebuilt < rebuilt_share)


@dataclass(frozen=True, slots=True)
class ClassifierBatch:
    """Images and labels of one step.

    ``he_tile`` and ``ihc_tile`` (B, 3, t, t), with their halo where a generator
    needs it; ``labels`` (B,); ``cells`` (B, 1 + P, a, a), the share of no cell and
    of each pattern in every square of the feature map, None where not known;
    ``drop_he``, ``drop_ihc`` and ``rebuild`` (B,) as in :class:`Missing`.
    """

    he_tile: Tensor
    ihc_tile: Tensor
    labels: Tensor
    cells: Tensor | None
    drop_he: Tensor
    drop_ihc: Tensor
    rebuild: Tensor

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        moved = {
            field.name: part.to(device)
            for field in fields(self)
            if (part := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)


def draw_batch(
    tiles: Tiles,
    learned: NDArray[np.intp],
    missing: Missing,
    config: TrainingConfig,
    rng: Rng,
    *,
    jitters: bool = True,
) -> ClassifierBatch:
    """Draw crops of tiles; with both stains there, the H&E is shifted a little."""
    count = len(missing.he)
    he, ihc, labels, cells = [], [], [], []
    for index, alone in zip(
        rng.choice(learned, count), missing.he | missing.ihc, strict=True
    ):
        sample = _sample(tiles, int(index), config, rng, jitters=jitters and not alone)
        he.append(sample[0])
        ihc.append(sample[1])
        labels.append(sample[2])
        cells.append(sample[3])
    known = [part for part in cells if part is not None]
    he_tile, ihc_tile = to_tensor(he), to_tensor(ihc)
    if not missing.rebuilt.any():
        he_tile, ihc_tile = crop(he_tile, config), crop(ihc_tile, config)
    return ClassifierBatch(
        he_tile=vary_he(he_tile, rng),
        ihc_tile=vary_ihc(ihc_tile, rng),
        labels=torch.tensor(labels),
        cells=torch.from_numpy(np.stack(known)) if known else None,
        drop_he=torch.from_numpy(missing.he),
        drop_ihc=torch.from_numpy(missing.ihc),
        rebuild=torch.from_numpy(missing.rebuilt),
    )


def crop(image: Tensor, config: TrainingConfig) -> Tensor:
    """Return the middle of images (B, 3, t, t), without any halo."""
    side = config.classifier_crop_px
    halo = (image.shape[-1] - side) // 2
    return image[..., halo : halo + side, halo : halo + side]


def _sample(
    tiles: Tiles, index: int, config: TrainingConfig, rng: Rng, *, jitters: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int, NDArray[np.float32] | None]:
    """Draw a crop: both stains with halo, its label and its cells."""
    grid = CELL_GRID_PX
    he_tile, ihc_tile = tiles.he[index], tiles.ihc[index]
    halo, inner = config.halo_px, config.classifier_crop_px
    side = inner + 2 * halo
    last = len(he_tile) - side
    y, x = grid * rng.integers(0, last // grid + 1, 2)
    jitter = min(round(config.jitter_um / config.mpp), halo) if jitters else 0
    shift = rng.integers(-jitter, jitter + 1, 2)
    v, u = np.clip([y + shift[0], x + shift[1]], 0, last)
    turn = Turn.draw(rng)
    he = turn.apply(he_tile[v : v + side, u : u + side])
    ihc = turn.apply(ihc_tile[y : y + side, x : x + side])
    if tiles.cells is None:
        return he, ihc, int(tiles.labels[index, 0]), None
    first = np.array([y + halo, x + halo]) // grid
    rows, columns = (slice(i, i + inner // grid) for i in first)
    counts = turn.apply(np.asarray(tiles.cells[index][rows, columns]))
    n = config.network.encoder_stride // grid
    return he, ihc, label_of(counts), _in_squares(counts, n)


def _in_squares(counts: NDArray[np.uint8], n: int) -> NDArray[np.float32]:
    """Return (1 + P, a, a), no cell or the share of each pattern in a square.

    A square is ``n`` squares of the counts wide.
    """
    side = len(counts) // n
    cells = counts.reshape(side, n, side, n, -1).sum((1, 3), dtype=np.float32)
    number = cells.sum(-1, keepdims=True)
    shares = np.concatenate([number == 0, cells / np.maximum(number, 1)], -1)
    return shares.transpose(2, 0, 1).astype(np.float32)
