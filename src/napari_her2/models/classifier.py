"""Two-stain classifier: ShaSpec encoders, channel attention, dual-path head.

Sources: the missing-modality framework (arXiv 2506.10006) with the residual
fusion of ShaSpec (CVPR 2023, arXiv 2307.14126). An absent stain is never read:
its fused feature is the mean of the shared features that are there, or zero.
Concatenation without attention and the masked mean of HER2-MAP (Nature BME 2025)
are there to compare with. Ours, where the configuration asks for it: cells counted
by membrane pattern in every square of the fused map, which the head sees too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.models.attention import ChannelAttention
from napari_her2.models.config import NetworkConfig
from napari_her2.models.encoders import shared_encoder, specific_encoder
from napari_her2.models.fusion import ResidualFusion, masked_shares, missing_feature
from napari_her2.models.head import DualPathHead, count_features, dual_path

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class ClassifierOutput:
    """Everything the losses and the overlays need.

    ``logits`` (B, K); ``embedding`` (B, 2 C and counts), what the head sees;
    ``cell_logits`` (B, 1 + P, a, a), no cell or one of a pattern in each square,
    None where nothing is counted; ``fused`` (B, C, a, a), the sum of ``he_part``
    and ``ihc_part``; ``attended``, the fused map times its ``channel_weights``
    (B, C) in (0, 1); ``shared`` and ``specific``, pooled features (B, C) of the
    stains given, in the order H&E, IHC.
    """

    logits: Tensor
    embedding: Tensor
    cell_logits: Tensor | None
    fused: Tensor
    attended: Tensor
    channel_weights: Tensor
    he_part: Tensor
    ihc_part: Tensor
    shared: tuple[Tensor, ...]
    specific: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class StainFeatures:
    """What the encoders say of one stain.

    ``shared``, ``specific`` and ``fused`` are maps (B, C, a, a), zero in samples
    whose stain was dropped; ``absent`` (B,) marks those, None where none was.
    """

    shared: Tensor
    specific: Tensor
    fused: Tensor
    absent: Tensor | None = None


class Her2Classifier(nn.Module):
    """Score a region from its H&E, its IHC, or both."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.feature_width
        self.missing = config.missing
        self.shared, channels = shared_encoder(config)
        self.project_shared = nn.Conv2d(channels, width, 1, bias=False)
        self.specific = nn.ModuleDict()
        self.project_specific = nn.ModuleDict()
        for stain in Stain:
            encoder, channels = specific_encoder(config)
            self.specific[stain] = encoder
            self.project_specific[stain] = nn.Conv2d(channels, width, 1, bias=False)
        self.fusion = ResidualFusion(width)
        self.fuse = (
            None
            if config.fusion == "masked_mean"
            else nn.Conv2d(2 * width, width, 1, bias=False)
        )
        self.attention = (
            ChannelAttention(width, config.attention_width)
            if config.fusion == "attention"
            else None
        )
        patterns = config.cell_patterns
        self.count = nn.Conv2d(width, 1 + patterns, 1) if patterns else None
        self.head = DualPathHead(
            width,
            config.n_classes,
            config.head_dropout,
            n_counts=patterns,
            hidden=config.head_hidden,
        )
        self.domain = nn.Linear(width, len(Stain))
        for name, values in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD)):
            tensor = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(f"image_{name}", tensor, persistent=False)

    def forward(
        self,
        he: Tensor | None,
        ihc: Tensor | None,
        *,
        drop_he: Tensor | None = None,
        drop_ihc: Tensor | None = None,
    ) -> ClassifierOutput:
        """Classify images of shape (B, 3, h, w) in [0, 1], sides multiples of 32.

        Parameters
        ----------
        he, ihc
            The images; None where a stain is missing.
        drop_he, drop_ihc
            Boolean (B,), samples whose image counts as missing. What stands in
            the image there is never read.

        Raises
        ------
        UsageError
            If a sample has neither stain.
        """
        return self.combine(self.encode(he, ihc, drop_he=drop_he, drop_ihc=drop_ihc))

    def encode(
        self,
        he: Tensor | None,
        ihc: Tensor | None,
        *,
        drop_he: Tensor | None = None,
        drop_ihc: Tensor | None = None,
    ) -> dict[Stain, StainFeatures]:
        """Return the features of the stains given, parameters as in a call.

        A part of what is returned may be combined again: encoders need not run
        twice to score H&E alone and H&E with a reconstructed IHC.
        """
        images = {
            stain: image
            for stain, image in ((Stain.HE, he), (Stain.IHC, ihc))
            if image is not None
        }
        drops = {Stain.HE: drop_he, Stain.IHC: drop_ihc}
        absent = {stain: _if_any(drops[stain]) for stain in images}
        marked = [mark for mark in absent.values() if mark is not None]
        if not images or (len(marked) == len(images) and _all_of(marked).any()):
            raise UsageError("No image to classify.", "Give H&E, IHC or both.")
        there = {
            stain: (_rows(image, absent[stain]) - self.image_mean) / self.image_std
            for stain, image in images.items()
        }
        # one pass for all stains: BatchNorm must see them together in training
        batch = self.project_shared(self.shared(torch.cat(list(there.values()))))
        parts = batch.split([len(image) for image in there.values()])
        return {
            stain: self._features(stain, image, shared, absent[stain])
            for (stain, image), shared in zip(there.items(), parts, strict=True)
        }

    def combine(self, features: Mapping[Stain, StainFeatures]) -> ClassifierOutput:
        """Fuse, attend and score what :meth:`encode` gave of one stain or both."""
        fused = self._fill(features)
        he_part, ihc_part = self._parts(fused, features)
        total = he_part + ihc_part
        weights = (
            total.new_ones(total.shape[:2])
            if self.attention is None
            else self.attention(total)
        )
        attended = total * weights[:, :, None, None]
        embedding = dual_path(attended)
        cell_logits = None if self.count is None else self.count(total)
        if cell_logits is not None:
            counted = cells_of(cell_logits).mean((2, 3))
            embedding = torch.cat([embedding, count_features(counted)], 1)
        return ClassifierOutput(
            logits=self.head(embedding),
            embedding=embedding,
            cell_logits=cell_logits,
            fused=total,
            attended=attended,
            channel_weights=weights,
            he_part=he_part,
            ihc_part=ihc_part,
            shared=tuple(f.shared.mean((2, 3)) for f in features.values()),
            specific=tuple(f.specific.mean((2, 3)) for f in features.values()),
        )

    def _features(
        self, stain: Stain, image: Tensor, shared: Tensor, absent: Tensor | None
    ) -> StainFeatures:
        if len(image) == 0:  # dropped in every sample: BatchNorm has nothing to see
            specific = torch.zeros_like(shared)
        else:
            specific = self.project_specific[stain](self.specific[stain](image))
        fused = self.fusion(shared, specific)
        if absent is None:
            return StainFeatures(shared, specific, fused)
        shared, specific, fused = (
            _spread(part, absent) for part in (shared, specific, fused)
        )
        return StainFeatures(shared, specific, fused, absent)

    def _fill(self, features: Mapping[Stain, StainFeatures]) -> dict[Stain, Tensor]:
        """Return the fused maps with what stands for absent ones."""
        fused = {stain: part.fused for stain, part in features.items()}
        if len(features) == 1:
            (only,) = features.values()
            stand_in = (
                missing_feature([only.shared])
                if self.missing == "shared"
                else torch.zeros_like(only.fused)
            )
            return {stain: fused.get(stain, stand_in) for stain in Stain}
        if self.missing == "shared":
            for stain, other in ((Stain.HE, Stain.IHC), (Stain.IHC, Stain.HE)):
                absent = features[stain].absent
                if absent is not None:
                    fused[stain] = torch.where(
                        absent.view(-1, 1, 1, 1),
                        missing_feature([features[other].shared]),
                        fused[stain],
                    )
        return fused

    def _parts(
        self, fused: Mapping[Stain, Tensor], features: Mapping[Stain, StainFeatures]
    ) -> tuple[Tensor, Tensor]:
        """Return what each stain adds to the fused map."""
        if self.fuse is not None:
            weight_he, weight_ihc = self.fuse.weight.chunk(2, 1)
            return (
                functional.conv2d(fused[Stain.HE], weight_he),
                functional.conv2d(fused[Stain.IHC], weight_ihc),
            )
        he_part, ihc_part = _shares(fused, features)
        return he_part, ihc_part


def cells_of(cell_logits: Tensor) -> Tensor:
    """Return the chance of a cell of each pattern (B, P, a, a) in every square.

    Summed over squares they are the number of cells that is to be expected.
    """
    return cell_logits.float().softmax(1)[:, 1:]


def masked_mean(features: Mapping[Stain, StainFeatures]) -> Tensor:
    """Return the mean (B, C, a, a) of the maps of the stains that are there."""
    if len(features) == 1:
        return next(iter(features.values())).fused
    return torch.stack(
        _shares({stain: part.fused for stain, part in features.items()}, features)
    ).sum(0)


def _shares(
    fused: Mapping[Stain, Tensor], features: Mapping[Stain, StainFeatures]
) -> list[Tensor]:
    there = [_there(stain, features) for stain in Stain]
    return masked_shares([fused[stain] for stain in Stain], there)


def _there(stain: Stain, features: Mapping[Stain, StainFeatures]) -> Tensor:
    """Return (B,), the samples in which a stain takes part."""
    size, device = next((len(f.fused), f.fused.device) for f in features.values())
    if stain not in features:
        return torch.zeros(size, dtype=torch.bool, device=device)
    absent = features[stain].absent
    if absent is None:
        return torch.ones(size, dtype=torch.bool, device=device)
    return ~absent


def _if_any(drop: Tensor | None) -> Tensor | None:
    return drop if drop is not None and bool(drop.any()) else None


def _all_of(marks: list[Tensor]) -> Tensor:
    return torch.stack(marks).all(0)


def _rows(image: Tensor, absent: Tensor | None) -> Tensor:
    return image if absent is None else image[~absent]


def _spread(present: Tensor, absent: Tensor) -> Tensor:
    """Put the rows of those present back at their places, zeros elsewhere."""
    whole = present.new_zeros(len(absent), *present.shape[1:])
    whole[~absent] = present
    return whole
