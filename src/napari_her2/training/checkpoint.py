"""Resumable training state in safetensors: weights, optimisers and the step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer


def save_checkpoint(
    path: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
) -> None:
    """Write the state after ``step`` steps; replaces an older one at once."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, tensor in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = tensor.contiguous()
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensor = torch.as_tensor(value).contiguous()
                tensors[f"optimizer/{name}/{index}/{key}"] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"step": str(step)})
    os.replace(partial, path)


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> int:
    """Restore what :func:`save_checkpoint` wrote; 0 when there is no file."""
    if not path.exists():
        return 0
    states: dict[str, dict[str, Tensor]] = {name: {} for name in modules}
    moments: dict[str, dict[int, dict[str, Tensor]]] = {n: {} for n in optimizers}
    with safe_open(path, framework="pt") as file:
        step = int(file.metadata()["step"])
        for key in file.keys():  # noqa: SIM118  (no mapping)
            kind, name, rest = key.split("/", 2)
            if kind == "module":
                states[name][rest] = file.get_tensor(key)
            else:
                index, field = rest.split("/")
                moments[name].setdefault(int(index), {})[field] = file.get_tensor(key)
    for name, module in modules.items():
        module.load_state_dict(states[name])
    for name, optimizer in optimizers.items():
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments[name], "param_groups": groups})
    return step
