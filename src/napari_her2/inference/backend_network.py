"""Where a backend takes the place of heavy parts inside a network.

Gate, familiarity and the choice between arms stay those of
:class:`~napari_her2.models.network.Her2Network`, whatever computes the images and
the maps of features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from napari_her2.core.score import Stain
from napari_her2.models.classifier import (
    ClassifierOutput,
    Her2Classifier,
    StainFeatures,
)
from napari_her2.models.network import Her2Network, TileOutput

Maps = tuple[Tensor, Tensor, Tensor]
"""Shared, specific and fused features of one stain, (B, C, a, a) each."""


class TileByTile:
    """A network that computes each tile of a batch alone.

    The kernels of a CPU library, and with them the rounding, may depend on the
    size of the batch; and several tiles at once are no faster there.
    """

    def __init__(self, network: Her2Network) -> None:
        self.network = network

    def __call__(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Score tiles, see ``Her2Network.forward``."""
        given = he if he is not None else ihc
        if given is None or len(given) <= 1:
            output: TileOutput = self.network(he, ihc)
            return output
        return join(
            [
                self.network(_one(he, index), _one(ihc, index))
                for index in range(len(given))
            ]
        )


def join(outputs: list[TileOutput]) -> TileOutput:
    """Return the results of several batches as one."""
    joined: dict[str, Any] = {}
    for field in fields(TileOutput):
        values = [getattr(output, field.name) for output in outputs]
        if isinstance(values[0], Tensor):
            joined[field.name] = torch.cat(values)
        elif isinstance(values[0], tuple):
            joined[field.name] = tuple(value for part in values for value in part)
        else:
            joined[field.name] = None
    return TileOutput(**joined)


class StainEncoder(nn.Module):
    """The encoders of a classifier for one stain, tensors in and tensors out."""

    def __init__(self, classifier: Her2Classifier, stain: Stain) -> None:
        super().__init__()
        self.classifier, self.stain = classifier, stain

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of images (B, 3, h, w) in [0, 1]."""
        he, ihc = (image, None) if self.stain is Stain.HE else (None, image)
        features = self.classifier.encode(he, ihc)[self.stain]
        return features.shared, features.specific, features.fused


class EncodedElsewhere(nn.Module):
    """A classifier whose encoders a backend computes; for inference only.

    Parameters
    ----------
    classifier
        Combines and scores what the encoders give.
    encoders
        For each stain, a function from images (B, 3, h, w) in [0, 1] to maps.
    """

    def __init__(
        self,
        classifier: Her2Classifier,
        encoders: Mapping[Stain, Callable[[Tensor], Maps]],
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.encoders = dict(encoders)

    def forward(self, he: Tensor | None, ihc: Tensor | None) -> ClassifierOutput:
        """Classify images, see ``Her2Classifier.forward``."""
        return self.combine(self.encode(he, ihc))

    def encode(
        self, he: Tensor | None, ihc: Tensor | None
    ) -> dict[Stain, StainFeatures]:
        """Return the features of the stains given."""
        images = {Stain.HE: he, Stain.IHC: ihc}
        return {
            stain: StainFeatures(*self.encoders[stain](image))
            for stain, image in images.items()
            if image is not None
        }

    def combine(self, features: Mapping[Stain, StainFeatures]) -> ClassifierOutput:
        """Fuse, attend and score the features of one stain or both."""
        return self.classifier.combine(features)


def _one(image: Tensor | None, index: int) -> Tensor | None:
    return None if image is None else image[index : index + 1]
