"""Several processes that train one network, started by ``torchrun``.

Every process draws its own batch; gradients, losses and running statistics are
averaged, so that ``n`` processes work as one with a batch ``n`` times as large
(BatchNorm and the clipping of gradients see each process's own part). With
one process nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from napari_her2.core.errors import NotReadyError


@contextmanager
def processes() -> Iterator[int]:
    """Join the processes that ``torchrun`` started; gives their number.

    Reads ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR`` and
    ``MASTER_PORT``. Uses NCCL with a GPU for each process, else Gloo.

    Raises
    ------
    NotReadyError
        If the environment asks for several processes and they cannot meet.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield 1
        return
    uses_gpu = torch.cuda.is_available()
    if uses_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if uses_gpu else "gloo")
    except (RuntimeError, ValueError) as error:
        raise NotReadyError(
            f"{count} processes were asked for and cannot meet ({error}).",
            "Start them with torchrun, or one alone without it.",
        ) from error
    try:
        yield count
    finally:
        dist.destroy_process_group()


def n_processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if n_processes() > 1:
        dist.barrier()


def seed_of_step(seed: int, stage: int, step: int) -> tuple[int, ...]:
    """Return what a step's draws are seeded with; another in every process."""
    common = (seed, stage, step)
    return common if n_processes() == 1 else (*common, rank())


def average_gradients(parameters: nn.Module | Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes.

    A parameter without gradient in this process counts as zero. To be called
    by all processes, between ``backward`` and a step; twice is as good as once.
    """
    if n_processes() == 1:
        return
    if isinstance(parameters, nn.Module):
        parameters = parameters.parameters()
    with_gradient = [p for p in parameters if p.requires_grad]
    for parameter in with_gradient:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    _average([p.grad for p in with_gradient if p.grad is not None])


def average_statistics(modules: Iterable[nn.Module]) -> None:
    """Replace running statistics of BatchNorm by their mean over the processes."""
    if n_processes() > 1:
        _average(
            [
                buffer
                for module in modules
                for buffer in module.buffers()
                if buffer.is_floating_point()
            ]
        )


def share_start(modules: Iterable[nn.Module]) -> None:
    """Give all processes the weights and statistics of the first."""
    if n_processes() > 1:
        with torch.no_grad():
            for module in modules:
                for tensor in (*module.parameters(), *module.buffers()):
                    dist.broadcast(tensor.data, 0)


def average_values(values: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of named values over the processes, which hold equal names."""
    if n_processes() == 1 or not values:
        return dict(values)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    names = sorted(values)
    tensor = torch.tensor([values[n] for n in names], dtype=torch.float64)
    tensor = tensor.to(device)
    dist.all_reduce(tensor)
    means = dict(zip(names, (tensor / n_processes()).tolist(), strict=True))
    return {name: means[name] for name in values}


@contextmanager
def averaging(optimizers: Iterable[Optimizer]) -> Iterator[None]:
    """Average gradients before every step of these optimisers."""
    if n_processes() == 1:
        yield
        return

    def average(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        average_gradients(
            p for group in optimizer.param_groups for p in group["params"]
        )

    handles = [o.register_step_pre_hook(average) for o in optimizers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _average(tensors: list[Tensor]) -> None:
    """Average tensors in place, those of one type in one message."""
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for group in by_type.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in group])
        dist.all_reduce(flat)
        flat /= n_processes()
        parts = flat.split([tensor.numel() for tensor in group])
        with torch.no_grad():
            for tensor, part in zip(group, parts, strict=True):
                tensor.copy_(part.view_as(tensor))
