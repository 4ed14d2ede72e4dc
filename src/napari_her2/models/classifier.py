"""Two-stain classifier: ShaSpec encoders, channel attention, dual-path head.

Sources: the missing-modality framework (arXiv 2506.10006) with the residual
fusion of ShaSpec (CVPR 2023, arXiv 2307.14126). An absent stain is never read:
its fused feature is the mean of the shared features that are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_her2.core.errors import UsageError
from napari_her2.models.attention import ChannelAttention
from napari_her2.models.config import NetworkConfig
from napari_her2.models.encoders import shared_encoder, specific_encoder

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class ClassifierOutput:
    """Everything the losses and the overlays need.

    ``logits`` (B, K); ``embedding`` (B, 2 C), what they are linear in; ``fused``
    (B, C, a, a), the sum of ``he_part`` and ``ihc_part``; ``attended``, the fused
    map times its ``channel_weights`` (B, C) in (0, 1); ``shared`` and
    ``specific``, pooled features (B, C) of the stains given, in the order H&E,
    IHC.
    """

    logits: Tensor
    embedding: Tensor
    fused: Tensor
    attended: Tensor
    channel_weights: Tensor
    he_part: Tensor
    ihc_part: Tensor
    shared: tuple[Tensor, ...]
    specific: tuple[Tensor, ...]


class ResidualFusion(nn.Module):
    """ShaSpec's f = r + conv([r, s]), one layer for every stain, no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.compose = nn.Conv2d(2 * width, width, 1, bias=False)

    def forward(self, shared: Tensor, specific: Tensor) -> Tensor:
        """Return the fused map of one stain, shape (B, C, a, a)."""
        residual: Tensor = self.compose(torch.cat([shared, specific], 1))
        return shared + residual


def missing_feature(present_shared: list[Tensor]) -> Tensor:
    """Return what stands for an absent stain: the mean of the shared features."""
    return torch.stack(present_shared).mean(0)


class DualPathHead(nn.Module):
    """Logits from [average ; average of the 3x3 stride-2 maximum] of a map."""

    def __init__(self, width: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * width, n_classes)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits (B, K) of what :func:`dual_path` gave."""
        logits: Tensor = self.linear(self.dropout(embedding))
        return logits


def dual_path(features: Tensor) -> Tensor:
    """Pool a map (B, C, a, a) to (B, 2 C): its mean and the mean of its peaks."""
    peaks = functional.max_pool2d(features, 3, stride=2, padding=1)
    return torch.cat([features.mean((2, 3)), peaks.mean((2, 3))], 1)


class Her2Classifier(nn.Module):
    """Score a region from its H&E, its IHC, or both."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.feature_width
        self.shared, channels = shared_encoder(config)
        self.project_shared = nn.Conv2d(channels, width, 1, bias=False)
        self.specific = nn.ModuleDict()
        self.project_specific = nn.ModuleDict()
        for stain in ("he", "ihc"):
            encoder, channels = specific_encoder(config)
            self.specific[stain] = encoder
            self.project_specific[stain] = nn.Conv2d(channels, width, 1, bias=False)
        self.fusion = ResidualFusion(width)
        self.fuse = nn.Conv2d(2 * width, width, 1, bias=False)
        self.attention = ChannelAttention(width, config.attention_width)
        self.head = DualPathHead(width, config.n_classes, config.head_dropout)
        self.domain = nn.Linear(width, 2)
        for name, values in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD)):
            tensor = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(f"image_{name}", tensor, persistent=False)

    def forward(
        self, he: Tensor | None, ihc: Tensor | None, *, drop_he: Tensor | None = None
    ) -> ClassifierOutput:
        """Classify images of shape (B, 3, h, w) in [0, 1], sides multiples of 32.

        Parameters
        ----------
        he, ihc
            The images; None where a stain is missing.
        drop_he
            For training: boolean (B,), samples whose H&E is treated as missing
            although it went through the encoders (so that BatchNorm sees the
            same mixture of stains in every batch). Needs both images.

        Raises
        ------
        UsageError
            If both stains are missing.
        """
        given = {
            stain: (image - self.image_mean) / self.image_std
            for stain, image in (("he", he), ("ihc", ihc))
            if image is not None
        }
        if not given:
            raise UsageError("No image to classify.", "Give H&E, IHC or both.")
        # one pass for all stains: BatchNorm must see them together in training
        batch = self.project_shared(self.shared(torch.cat(list(given.values()))))
        shared = dict(zip(given, batch.chunk(len(given)), strict=True))
        specific = {
            stain: self.project_specific[stain](self.specific[stain](image))
            for stain, image in given.items()
        }
        fused = {s: self.fusion(shared[s], specific[s]) for s in given}
        for stain in ("he", "ihc"):
            if stain not in fused:
                fused[stain] = missing_feature(list(shared.values()))
        if drop_he is not None:
            absent = drop_he.view(-1, 1, 1, 1)
            fused["he"] = torch.where(absent, shared["ihc"], fused["he"])
        weight_he, weight_ihc = self.fuse.weight.chunk(2, 1)
        he_part = functional.conv2d(fused["he"], weight_he)
        ihc_part = functional.conv2d(fused["ihc"], weight_ihc)
        total = he_part + ihc_part
        weights = self.attention(total)
        attended = total * weights[:, :, None, None]
        embedding = dual_path(attended)
        return ClassifierOutput(
            logits=self.head(embedding),
            embedding=embedding,
            fused=total,
            attended=attended,
            channel_weights=weights,
            he_part=he_part,
            ihc_part=ihc_part,
            shared=tuple(r.mean((2, 3)) for r in shared.values()),
            specific=tuple(s.mean((2, 3)) for s in specific.values()),
        )
