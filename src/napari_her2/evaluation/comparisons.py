"""Networks to compare a bundle with: other fusions, H&E trained alone, plain GAN.

They are safetensors files in one folder, named by what they are. A file may hold
all weights of a classifier or some of them; the rest is the bundle's own, so that
a head trained on the bundle's encoders is enough. The architecture is the
bundle's with what the name changes, or stands under ``network`` in the metadata
of the file (the fields of ``NetworkConfig`` as JSON).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_her2.core.errors import BundleError
from napari_her2.core.score import Stain
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import NetworkConfig
from napari_her2.models.generator import Generator

PLAIN_GENERATOR = "plain_he_to_ihc"
"""File of the plain Pyramid Pix2Pix generator, without ``.safetensors``."""

HE_ONLY = "H&E alone, trained alone"
"""Name of the arm of a network that never saw anything but H&E."""

Scorer = Callable[[Tensor | None, Tensor | None], Tensor]
"""Takes cores of H&E and IHC (B, 3, h, w) in [0, 1], None = absent; gives logits."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another network that scores the same regions.

    ``name`` is what tables call it, ``stains`` what it is given.
    """

    name: str
    stains: frozenset[Stain]
    score: Scorer


_KNOWN: Mapping[str, tuple[str, frozenset[Stain], dict[str, Any]]] = {
    "he_only": (HE_ONLY, frozenset({Stain.HE}), {}),
    "head_concat": ("both, concatenation", frozenset(Stain), {"fusion": "concat"}),
    "head_masked_mean": (
        "both, masked mean",
        frozenset(Stain),
        {"fusion": "masked_mean"},
    ),
}


def load_comparisons(
    folder: Path, config: NetworkConfig, classifier: nn.Module, device: torch.device
) -> list[Comparison]:
    """Read the known classifiers of a folder; unknown files are left alone.

    Raises
    ------
    BundleError
        If a file does not fit.
    """
    found = []
    for stem, (name, stains, changes) in _KNOWN.items():
        path = folder / f"{stem}.safetensors"
        if not path.is_file():
            continue
        network = Her2Classifier(_config_of(path, replace(config, **changes)))
        _load(network, path, classifier.state_dict())
        network.to(device).requires_grad_(False).eval()
        found.append(Comparison(name, stains, _scorer(network)))
    return found


def load_plain_generator(
    path: Path, config: NetworkConfig, device: torch.device
) -> Generator:
    """Read a plain Pyramid Pix2Pix generator of the bundle's width.

    Raises
    ------
    BundleError
        If the file does not fit.
    """
    generator = Generator(_config_of(path, replace(config, multi_scale=False)))
    _load(generator, path, {})
    generator.to(device).requires_grad_(False).eval()
    return generator


def _scorer(network: Her2Classifier) -> Scorer:
    def score(he: Tensor | None, ihc: Tensor | None) -> Tensor:
        logits: Tensor = network(he, ihc).logits
        return logits

    return score


def _config_of(path: Path, fallback: NetworkConfig) -> NetworkConfig:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "network" not in metadata:
            return fallback
        return NetworkConfig.from_dict(json.loads(metadata["network"]))
    except (OSError, SafetensorError, ValueError) as error:
        raise _refused(path, str(error)) from error


def _load(network: nn.Module, path: Path, rest: Mapping[str, Tensor]) -> None:
    own = network.state_dict()
    given = load_file(path)
    weights = {
        name: given.get(name, rest.get(name))
        for name, tensor in own.items()
        if name in given or (name in rest and rest[name].shape == tensor.shape)
    }
    if strange := sorted(set(given) - set(own)):
        raise _refused(path, f"{strange[0]} is no weight of it.")
    if lacking := sorted(set(own) - set(weights)):
        raise _refused(path, f"{lacking[0]} is missing.")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise _refused(path, str(error).splitlines()[-1].strip()) from error


def _refused(path: Path, problem: str) -> BundleError:
    return BundleError(
        path, f"the weights do not fit: {problem}", "Train them again, or remove them."
    )
