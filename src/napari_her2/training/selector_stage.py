"""The stain selector: GoogLeNet learns H&E and IHC from crops of both.

A short stage of its own: what it verifies at inference is the stain an image was
given as. Half of a batch shows H&E, half IHC, from places drawn independently, so
that tissue says nothing and stain everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from napari_her2.core.score import Stain
from napari_her2.models.selector import (
    LEAST_TISSUE_SHARE,
    WINDOW_PX,
    StainSelector,
)
from napari_her2.stain.separation import tissue_of
from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import training_device
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import freeze_statistics, set_rate
from napari_her2.training.tiles import Tiles

CROPS = 4
"""Crops of each stain in a batch."""

_RATE = 1e-3
_POLY_POWER = 0.9
_MOVING_STATISTICS_SHARE = 0.7
"""Share of the steps after which BatchNorm is as it will be at inference."""

_BATCHNORM_MOMENTUM = 0.3
"""So short a stage must forget fast what BatchNorm saw at its start."""

_DRAWS = 8
"""How often another place is drawn where a crop shows glass."""


class SelectorStage:
    """Network and optimiser of the selector.

    Parameters
    ----------
    tiles
        Tiles in both stains.
    learned
        Indices of those to train on.
    config
        Settings; ``selector_steps`` and the network's ``selector_width``.
    """

    stage = TrainStage.SELECTOR

    def __init__(
        self, tiles: Tiles, learned: NDArray[np.intp], config: TrainingConfig
    ) -> None:
        self.tiles, self.learned, self.config = tiles, learned, config
        self.n_steps = config.selector_steps
        torch.manual_seed(config.seed)
        self.selector = StainSelector(config.network.selector_width)
        self.selector.to(training_device())
        for module in self.selector.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _BATCHNORM_MOMENTUM
        self._adam = AdamW(
            self.selector.parameters(), _RATE, weight_decay=config.weight_decay
        )

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The selector."""
        return {"selector": self.selector}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Its AdamW."""
        return {"selector": self._adam}

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update the selector on one batch."""
        done = step / self.n_steps
        set_rate(self._adam, _RATE * (1 - done) ** _POLY_POWER)
        self.selector.train()
        if done >= _MOVING_STATISTICS_SHARE:
            freeze_statistics(self.selector)
        images, stains = self._batch(rng)
        logits = self.selector(images)
        loss = functional.cross_entropy(logits, stains)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        self._adam.step()
        hits = logits.argmax(1) == stains
        return {"cross_entropy": loss.item(), "accuracy": hits.float().mean().item()}

    def _batch(self, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return crops (2 n, 3, side, side) and their stains (2 n,)."""
        he = vary_he(self._crops(self.tiles.he, rng), rng)
        ihc = vary_ihc(self._crops(self.tiles.ihc, rng), rng)
        stains = torch.arange(len(Stain)).repeat_interleave(CROPS)
        device = training_device()
        return torch.cat([he, ihc]).to(device), stains.to(device)

    def _crops(self, images: Any, rng: Rng) -> Tensor:
        return to_tensor(
            [
                Turn.draw(rng).apply(_crop(images[index], rng))
                for index in rng.choice(self.learned, CROPS)
            ]
        )


def _crop(image: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Return a random window of an image, with tissue where there is some."""
    side = min(WINDOW_PX, *image.shape[:2])
    for _ in range(_DRAWS):
        y, x = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
        crop = np.asarray(image[y : y + side, x : x + side])
        if tissue_of(crop).mean() >= LEAST_TISSUE_SHARE:
            break
    return crop
