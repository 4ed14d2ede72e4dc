"""Resumable training state in safetensors: weights, optimisers and the step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from napari_her2.core.errors import StorageError


def save_checkpoint(
    path: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write the state after ``step`` steps; replaces an older one at once.

    ``notes`` are kept beside it, see :func:`read_notes`.

    Raises
    ------
    StorageError
        If it cannot be written; an older one then stays as it was.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, tensor in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = tensor.contiguous()
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensor = torch.as_tensor(value).contiguous()
                tensors[f"optimizer/{name}/{index}/{key}"] = tensor
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, {**(notes or {}), "step": str(step)})
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise unwritable(path, error) from error
    finally:
        if partial.is_file() and not partial.is_symlink():
            partial.unlink()


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> int:
    """Restore what :func:`save_checkpoint` wrote; 0 when there is no file.

    Optimisers that are not given stay as they are.

    Raises
    ------
    StorageError
        If the file is damaged, or of networks of another shape.
    """
    if not path.exists():
        return 0
    states: dict[str, dict[str, Tensor]] = {name: {} for name in modules}
    moments: dict[str, dict[int, dict[str, Tensor]]] = {n: {} for n in optimizers}
    try:
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
            for key in file.keys():  # noqa: SIM118  (no mapping)
                kind, name, rest = key.split("/", 2)
                if kind == "module":
                    states[name][rest] = file.get_tensor(key)
                elif name in moments:
                    index, field = rest.split("/")
                    moment = moments[name].setdefault(int(index), {})
                    moment[field] = file.get_tensor(key)
        for name, module in modules.items():
            module.load_state_dict(states[name])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        problem = (str(error).strip().splitlines() or ["?"])[-1].strip()
        raise StorageError(
            path,
            f"the checkpoint does not fit this run ({problem}).",
            "Choose an empty output folder, or the configuration it was made with.",
        ) from error
    for name, optimizer in optimizers.items():
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments[name], "param_groups": groups})
    return step


def read_notes(path: Path) -> dict[str, str]:
    """Return the notes of a checkpoint, with its ``step``; empty without a file."""
    if not path.exists():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise StorageError(
            path, f"the checkpoint is damaged ({error}).", "Remove it and train again."
        ) from error


def unwritable(path: Path, error: Exception) -> StorageError:
    """Return what to say when a file of a run cannot be written."""
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(
        path,
        f"it cannot be written ({reason}).",
        f"Make room or choose a folder you may write to (now {path.parent}); the run "
        "goes on from its last checkpoint.",
    )
