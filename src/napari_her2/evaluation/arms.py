"""One network scored in every arm, each image encoded once.

An arm is a set of images the classifier sees. Encoding an image is what costs;
combining features is cheap, so all arms of a region share their encodings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.core.score import Stain
from napari_her2.evaluation.comparisons import Comparison
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.verdicts import Verdicts, ask
from napari_her2.models.classifier import StainFeatures
from napari_her2.models.gate import Gate
from napari_her2.models.generator import Generator
from napari_her2.models.network import HE_TO_IHC, IHC_TO_HE, Her2Network, to_uint8

FAKE_OF = {Stain.HE: HE_TO_IHC, Stain.IHC: IHC_TO_HE}
"""The generator that reconstructs the other stain from this one."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Logits (K,) of one region and the embedding (1, D) they are linear in."""

    logits: NDArray[np.float32]
    embedding: Tensor


class NetworkArms:
    """Encodes, reconstructs and scores regions with one network.

    Parameters
    ----------
    network
        The bundle's.
    device
        Where it computes.
    comparisons
        Other networks on the same regions.
    """

    def __init__(
        self,
        network: Her2Network,
        device: torch.device,
        comparisons: Sequence[Comparison] = (),
    ) -> None:
        self.network = network.to(device)
        self.device = device
        self.comparisons = tuple(comparisons)

    def can_reconstruct(self, stain: Stain) -> bool:
        """Whether the other stain can be made from this one."""
        return FAKE_OF[stain] in self.network.generators

    def reconstruct(self, stain: Stain, tile: Image) -> Image:
        """Return the other stain of a tile's core."""
        with torch.inference_mode():
            made = self.network.synthesize(self._tensor(tile), FAKE_OF[stain])
        return _image(made)

    def translate(self, generator: Generator, tile: Image) -> Image:
        """Return what another generator makes of a tile, its core."""
        with torch.inference_mode():
            made = generator(self._tensor(tile) * 2 - 1)
            return _image(to_uint8(self.network.core(made)))

    def encode(self, stain: Stain, core: Image) -> StainFeatures:
        """Return the features of one image, the core of a region."""
        image = self._tensor(core)
        given = (image, None) if stain is Stain.HE else (None, image)
        with torch.inference_mode():
            return self.network.classifier.encode(*given)[stain]

    def score(self, he: StainFeatures | None, ihc: StainFeatures | None) -> Scored:
        """Score what was encoded; None = absent."""
        given = {
            stain: features
            for stain, features in ((Stain.HE, he), (Stain.IHC, ihc))
            if features is not None
        }
        with torch.inference_mode():
            result = self.network.classifier.combine(given)
        return Scored(result.logits[0].float().cpu().numpy(), result.embedding)

    def compare(
        self,
        other: Comparison,
        images: Mapping[Stain, Image],
        features: Mapping[Stain, StainFeatures],
    ) -> NDArray[np.float32]:
        """Return another network's logits (K,).

        Parameters
        ----------
        other
            The network.
        images, features
            Cores of both stains, and what :meth:`encode` gave of them.
        """
        with torch.inference_mode():
            if other.combine is not None:
                logits = other.combine(
                    {s: features[s] for s in Stain if s in other.stains}
                )
            else:
                he, ihc = (
                    self._tensor(images[stain]) if stain in other.stains else None
                    for stain in Stain
                )
                logits = other.score(he, ihc)
        return logits[0].float().cpu().numpy()

    def judge(
        self,
        observed: Stain,
        alone: Scored,
        beside: Scored,
        core: Image,
        questioned: Image,
    ) -> Verdicts | None:
        """Ask the gate about the other stain's image; None without a gate.

        Parameters
        ----------
        observed, core
            What is there.
        alone, beside
            What was scored without and with the image in question.
        questioned
            The image in question, of the same place.
        """
        gate = cast("Gate | None", self.network.gate)  # a bundle has no other kind
        if gate is None:
            return None
        with torch.inference_mode():
            return ask(
                gate,
                observed,
                (alone.embedding, beside.embedding),
                (self._tensor(core), self._tensor(questioned)),
            )

    def distance(self, stain: Stain, core: Image) -> float:
        """Return how unfamiliar a region is, 1 at the threshold, NaN if unknown."""
        if self.network.familiarity is None:
            return float("nan")
        with torch.inference_mode():
            return float(self.network.familiarity.distance(stain, self._tensor(core)))

    def _tensor(self, image: Image) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        return tensor.permute(2, 0, 1)[None].float().div_(255)


def _image(tensor: Tensor) -> Image:
    image: Image = tensor[0].permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(image)
