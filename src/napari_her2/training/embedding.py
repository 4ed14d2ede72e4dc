"""Features of the H&E of every tile from a frozen encoder, for ``leakage``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_her2.models.bundle import load_bundle, shipped_bundle
from napari_her2.models.network import load_network
from napari_her2.training.augment import to_tensor
from napari_her2.training.device import training_device
from napari_her2.training.distributed import is_main, wait_for_all
from napari_her2.training.progress import TrainProgress, TrainStage
from napari_her2.training.tiles import Tiles

Encoder = Callable[[Tensor], Tensor]
"""Maps images (B, 3, h, w) in [0, 1] to features (B, d)."""


def shipped_encoder() -> Encoder:
    """Return the shared encoder of the shipped bundle, which saw no real tissue."""
    classifier = load_network(load_bundle(shipped_bundle())).classifier
    classifier.to(training_device())

    def encode(images: Tensor) -> Tensor:
        normal = (images - classifier.image_mean) / classifier.image_std
        features: Tensor = classifier.shared(normal)
        return features.mean((2, 3))

    return encode


def embedded(
    tiles: Tiles, halo_px: int, path: Path, encoder: Encoder
) -> Generator[TrainProgress, None, NDArray[Any]]:
    """Return features (n, d) of the H&E cores; yields its progress.

    Parameters
    ----------
    tiles, halo_px
        Tiles, and the margin to leave out.
    path
        NPY file in which the features are kept and from which they are read.
    encoder
        Frozen; sees cores at half their resolution.
    """
    if is_main() and not path.exists():
        inside = slice(halo_px, -halo_px or None)
        features = []
        with torch.inference_mode():
            for index in range(len(tiles)):
                core = to_tensor([tiles.he[index][inside, inside]])
                small = functional.avg_pool2d(core.to(training_device()), 2)
                features.append(encoder(small).float().cpu().numpy()[0])
                yield TrainProgress(TrainStage.TILES, index + 1, len(tiles))
        partial = path.with_suffix(".partial.npy")
        np.save(partial, np.stack(features))
        partial.replace(path)
    wait_for_all()
    found: NDArray[Any] = np.load(path)
    return found
