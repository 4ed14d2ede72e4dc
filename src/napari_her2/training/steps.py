"""The loop both training stages share: draw, step, log, checkpoint, yield.

Every step draws from its own random generator, seeded by run, stage and step,
so that a run that was stopped and started again goes on exactly as one that
was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import nn
from torch.optim import Optimizer

from napari_her2.training.checkpoint import load_checkpoint, save_checkpoint
from napari_her2.training.log import TrainingLog
from napari_her2.training.progress import TrainProgress, TrainStage

LOG_STEPS = 20


class Stage(Protocol):
    """What a stage trains, and one step of it."""

    stage: TrainStage
    n_steps: int

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Networks whose state a checkpoint keeps."""
        ...

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Optimisers whose state a checkpoint keeps."""
        ...

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Do one step and return its losses by name."""
        ...


def run_steps(
    stage: Stage, folder: Path, *, seed: int, checkpoint_steps: int
) -> Iterator[TrainProgress]:
    """Train a stage to its end, from its last checkpoint in ``folder`` if any."""
    checkpoint = folder / f"{stage.stage}.safetensors"
    start = load_checkpoint(checkpoint, stage.modules, stage.optimizers)
    log = TrainingLog(folder / "training.csv", stage.stage, start)
    order = list(TrainStage).index(stage.stage)
    for step in range(start, stage.n_steps):
        rng = np.random.default_rng((seed, order, step))
        torch.manual_seed(int(rng.integers(2**62)))
        losses = stage.step(step, rng)
        done, last = step + 1, step + 1 == stage.n_steps
        if done % LOG_STEPS == 0 or last:
            log.write(done, losses)
        if done % checkpoint_steps == 0 or last:
            save_checkpoint(checkpoint, done, stage.modules, stage.optimizers)
        yield TrainProgress(stage.stage, done, stage.n_steps, losses)


def freeze_statistics(module: nn.Module) -> None:
    """Let BatchNorm use its running statistics, as it will at inference.

    A small batch is normalised by its own colours; a network trained only so
    answers strangely to a tile that stands alone.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
