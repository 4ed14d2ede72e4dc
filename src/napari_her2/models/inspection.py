"""What a bundle is and holds, as plain values; needs no torch."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from typing import Any

from safetensors import safe_open

from napari_her2.models.bundle import Bundle


def inspect_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return the card's fields, the identity, and what each part holds.

    ``parts`` gives for every weights file the number of tensors and of values
    (parameters and statistics) and its size in bytes.
    """
    parts = {}
    for part in bundle.parts:
        path = bundle.weights_path(part)
        with safe_open(path, framework="numpy") as weights:
            shapes = [weights.get_slice(key).get_shape() for key in weights.keys()]  # noqa: SIM118
        parts[part] = {
            "n_tensors": len(shapes),
            "n_values": sum(prod(shape) for shape in shapes),
            "n_bytes": path.stat().st_size,
        }
    return {"sha256": bundle.sha256, "parts": parts, **asdict(bundle.card)}
