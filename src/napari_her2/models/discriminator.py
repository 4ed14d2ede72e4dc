"""Conditional PatchGAN discriminator with a 70 px field (pix2pix)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_her2.models.config import NetworkConfig


class PatchDiscriminator(nn.Module):
    """Judge patches of (source, target) as real or generated."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.discriminator_width
        layers: list[nn.Module] = [
            nn.Conv2d(6, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        for inputs, outputs, stride in (
            (width, 2 * width, 2),
            (2 * width, 4 * width, 2),
            (4 * width, 8 * width, 1),
        ):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(8 * width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return logits per patch: (B, 3, 256, 256) twice gives (B, 1, 30, 30)."""
        logits: Tensor = self.layers(torch.cat([source, target], 1))
        return logits
