"""The loop all training stages share: draw, step, log, checkpoint, yield.

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

from napari_her2.core.errors import NotReadyError
from napari_her2.training.best import WATCHED, Best
from napari_her2.training.checkpoint import (
    load_checkpoint,
    read_notes,
    save_checkpoint,
)
from napari_her2.training.distributed import (
    average_statistics,
    average_values,
    averaging,
    is_main,
    n_processes,
    seed_of_step,
    share_start,
    wait_for_all,
)
from napari_her2.training.log import TrainingLog
from napari_her2.training.memory import (
    batch_of,
    free_memory,
    is_out_of_memory,
    set_batch,
)
from napari_her2.training.progress import TrainProgress, TrainStage

LOG_STEPS = 20
HALVED = "batch_halved_to"
"""Name of the value that says that memory ran out, and what the batch is now."""

_FINISHED, _EARLY = "finished", "early"


class Stage(Protocol):
    """What a stage trains, and one step of it.

    A stage whose batch can be halved when memory runs out has an attribute
    ``batch``, or a ``config`` with its batch (see ``training.memory``). One that
    can be stopped early returns ``validation_macro_f1`` from some steps.
    """

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
    stage: Stage,
    folder: Path,
    *,
    seed: int,
    checkpoint_steps: int,
    patience: int = 0,
) -> Iterator[TrainProgress]:
    """Train a stage to its end, from its last checkpoint in ``folder`` if any.

    Parameters
    ----------
    stage
        What to train; at the end it holds the trained networks.
    folder
        Where checkpoints and ``training.csv`` lie.
    seed
        Of all draws.
    checkpoint_steps
        A checkpoint is written after each multiple of this.
    patience
        Stop after this many validations without a better macro-F1, and end with
        the weights of the best; 0 trains to the end and keeps the last.

    Yields
    ------
    TrainProgress
        After every step. The value ``batch_halved_to`` tells that memory ran out
        and the step was repeated with half the batch.

    Raises
    ------
    StorageError
        If the folder cannot be written, or its checkpoint does not fit.
    NotReadyError
        If memory runs out with a batch of one.
    """
    checkpoint = folder / f"{stage.stage}.safetensors"
    best_path = folder / f"{stage.stage}.best.safetensors"
    wait_for_all()
    notes = read_notes(checkpoint)
    start = load_checkpoint(checkpoint, stage.modules, stage.optimizers)
    wait_for_all()
    if notes.get(_FINISHED) == _EARLY or start >= stage.n_steps:
        return
    if "batch" in notes:
        set_batch(stage, int(notes["batch"]))
    share_start(stage.modules.values())
    best = Best.from_notes(notes)
    log = (
        TrainingLog(folder / "training.csv", stage.stage, start) if is_main() else None
    )

    def save(step: int, **more: str) -> None:
        if is_main():
            kept = {**best.to_notes(), **more}
            if (batch := batch_of(stage)) is not None:
                kept["batch"] = str(batch)
            save_checkpoint(checkpoint, step, stage.modules, stage.optimizers, kept)

    with averaging(stage.optimizers.values()):
        for step in range(start, stage.n_steps):
            losses = _step(stage, step, seed)
            done, last = step + 1, step + 1 == stage.n_steps
            is_saved = done % checkpoint_steps == 0
            if patience and WATCHED in losses:
                best = best.after(losses[WATCHED], done)
                last = last or best.stale >= patience
                if best.step == done and is_main():
                    save_checkpoint(best_path, done, stage.modules, {})
                    is_saved = True
            if log and (done % LOG_STEPS == 0 or last or _is_rare(losses)):
                log.write(done, losses)
            if last and patience and best.step:
                wait_for_all()
                load_checkpoint(best_path, stage.modules, {})
            if last:
                is_early = done < stage.n_steps
                save(done, **{_FINISHED: _EARLY if is_early else "at the end"})
            elif is_saved:
                save(done)
            yield TrainProgress(
                stage.stage, done, done if last else stage.n_steps, losses
            )
            if last:
                break
    if log:
        log.close()


def is_finished(stage: TrainStage, folder: Path) -> bool:
    """Whether a folder holds a stage that was trained to its end."""
    return _FINISHED in read_notes(folder / f"{stage}.safetensors")


def _step(stage: Stage, step: int, seed: int) -> dict[str, float]:
    """Do one step, with smaller batches as long as memory runs out."""
    order = list(TrainStage).index(stage.stage)
    halved: dict[str, float] = {}
    while True:
        rng = np.random.default_rng(seed_of_step(seed, order, step))
        torch.manual_seed(int(rng.integers(2**62)))
        try:
            losses = stage.step(step, rng)
            average_statistics(stage.modules.values())
            return {**average_values(losses), **halved}
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            batch = batch_of(stage)
            if batch is None or batch < 2 or n_processes() > 1:
                raise NotReadyError(
                    f"There is not enough memory to train the {stage.stage} with a "
                    f"batch of {batch or 'this size'}.",
                    "Choose smaller crops, a smaller batch or a smaller network.",
                ) from error
            halved = {HALVED: float(batch // 2)}
        # outside the handler, so that the error holds no tensors any more
        for optimizer in stage.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.requires_grad_(True)  # a step may have left it frozen
        free_memory()
        set_batch(stage, batch // 2)


def _is_rare(losses: Mapping[str, float]) -> bool:
    return any(n == HALVED or n.startswith("validation") for n in losses)


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
