"""What to do when a step needs more memory than there is."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import torch

from napari_her2.training.config import TrainingConfig
from napari_her2.training.progress import TrainStage

_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")

BATCH_FIELDS = {
    TrainStage.HE_TO_IHC: "generator_batch",
    TrainStage.IHC_TO_HE: "generator_batch",
    TrainStage.PLAIN_HE_TO_IHC: "generator_batch",
    TrainStage.CLASSIFIER: "classifier_batch",
    TrainStage.HE_ONLY: "classifier_batch",
    TrainStage.JOINT: "classifier_batch",
}
"""The setting that holds a stage's batch."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        message in str(error).lower() for message in _CPU_MESSAGES
    )


def batch_of(stage: Any) -> int | None:
    """Return the batch of a stage, None where it cannot be changed.

    A stage has either an attribute ``batch``, or a ``config`` in which the
    field of :data:`BATCH_FIELDS` is its batch.
    """
    if isinstance(own := getattr(stage, "batch", None), int):
        return own
    name = BATCH_FIELDS.get(stage.stage)
    config = getattr(stage, "config", None)
    if name is None or not isinstance(config, TrainingConfig):
        return None
    return int(getattr(config, name))


def set_batch(stage: Any, batch: int) -> None:
    """Let a stage take batches of this size from now on."""
    if isinstance(getattr(stage, "batch", None), int):
        stage.batch = batch
    else:
        stage.config = replace(stage.config, **{BATCH_FIELDS[stage.stage]: batch})


def free_memory() -> None:
    """Give back what a failed step left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
