"""Networks to compare a bundle with: other fusions, H&E trained alone, plain GAN.

They are safetensors files in one folder, named by what they are. A file may hold
all weights of a classifier or some of them; the rest is the bundle's own, so that
a head trained on the bundle's encoders is enough. The architecture is the
bundle's with what the name changes, or stands under ``network`` in the metadata
of the file (the fields of ``NetworkConfig`` as JSON).

A classifier without encoders of its own sees what the bundle's encoders gave: they
need not run again for it.
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
from napari_her2.models.classifier import Her2Classifier, StainFeatures
from napari_her2.models.config import NetworkConfig
from napari_her2.models.generator import Generator

PLAIN_GENERATOR = "plain_he_to_ihc"
"""File of the plain Pyramid Pix2Pix generator, without ``.safetensors``."""

HE_ONLY = "H&E alone, trained alone"
"""Name of the arm of a network that never saw anything but H&E."""

Scorer = Callable[[Tensor | None, Tensor | None], Tensor]
"""Takes cores of H&E and IHC (B, 3, h, w) in [0, 1], None = absent; gives logits."""

Combiner = Callable[[Mapping[Stain, StainFeatures]], Tensor]
"""Takes what the bundle's encoders gave of the stains that are there."""

_ENCODERS = ("shared.", "project_shared.", "specific.", "project_specific.", "fusion.")
"""Weights of a classifier that :meth:`Her2Classifier.encode` uses."""

_BEHIND_ENCODERS = frozenset(
    {
        "fusion", "missing", "attention_width",
        "head_dropout", "head_hidden", "cell_patterns",
    }
)  # fmt: skip
"""Settings that :meth:`Her2Classifier.encode` does not use."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another network that scores the same regions.

    ``name`` is what tables call it, ``stains`` what it is given. ``combine`` gives
    the same as ``score`` from features, None where the encoders are not the bundle's.
    """

    name: str
    stains: frozenset[Stain]
    score: Scorer
    combine: Combiner | None = None


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
    folder: Path,
    config: NetworkConfig,
    classifier: nn.Module,
    device: torch.device,
    encode_by: Callable[[Her2Classifier], nn.Module] = lambda network: network,
) -> list[Comparison]:
    """Read the known classifiers of a folder; unknown files are left alone.

    Parameters
    ----------
    folder
        Where they lie.
    config, classifier
        The bundle's.
    device
        Where they compute.
    encode_by
        Makes a classifier with own encoders compute them by a backend.

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
        its_config = _config_of(path, replace(config, **changes))
        network = Her2Classifier(its_config)
        given = _load(network, path, classifier.state_dict())
        network.to(device).requires_grad_(False).eval()
        if _encodes_like(its_config, config) and not any(
            weight.startswith(_ENCODERS) for weight in given
        ):
            found.append(Comparison(name, stains, _scorer(network), _combiner(network)))
        else:
            found.append(Comparison(name, stains, _scorer(encode_by(network))))
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


def _scorer(network: nn.Module) -> Scorer:
    def score(he: Tensor | None, ihc: Tensor | None) -> Tensor:
        logits: Tensor = network(he, ihc).logits
        return logits

    return score


def _combiner(network: Her2Classifier) -> Combiner:
    return lambda features: network.combine(features).logits


def _encodes_like(config: NetworkConfig, other: NetworkConfig) -> bool:
    given, known = config.to_dict(), other.to_dict()
    return all(
        given[name] == known[name] for name in given if name not in _BEHIND_ENCODERS
    )


def _config_of(path: Path, fallback: NetworkConfig) -> NetworkConfig:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "network" not in metadata:
            return fallback
        return NetworkConfig.from_dict(json.loads(metadata["network"]))
    except (OSError, SafetensorError, ValueError) as error:
        raise _refused(path, str(error)) from error


def _load(network: nn.Module, path: Path, rest: Mapping[str, Tensor]) -> set[str]:
    """Read weights, those that the file lacks from the rest; return what it had."""
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
    return set(given)


def _refused(path: Path, problem: str) -> BundleError:
    return BundleError(
        path, f"the weights do not fit: {problem}", "Train them again, or remove them."
    )
