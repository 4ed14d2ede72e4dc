"""Which stain a tile shows: GoogLeNet at a width factor, for H&E and IHC.

The framework's branch selector (arXiv 2506.10006) with torchvision's Inception
blocks. It verifies the stain an image was given as; which stains are there is
decided by what was given, never by this network.
"""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor, nn

from napari_her2.core.score import Stain
from napari_her2.models.torchvision_ops import torchvision

# torchvision.models.googlenet is a function that hides the module
_googlenet = import_module(torchvision.models.GoogLeNet.__module__)

WINDOW_PX = 224
"""Side of the windows the selector was made for."""

# table 1 of arXiv 1409.4842: 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pool
_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class StainSelector(nn.Module):
    """Tell H&E from IHC.

    Parameters
    ----------
    width
        Factor on GoogLeNet's channels; 1.0 is GoogLeNet without its two
        auxiliary classifiers.
    """

    def __init__(self, width: float) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return max(2, round(channels * width))

        conv, inception = _googlenet.BasicConv2d, _googlenet.Inception
        stem = scaled(64)
        channels = scaled(192)
        layers: list[nn.Module] = [
            conv(3, stem, kernel_size=7, stride=2, padding=3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            conv(stem, stem, kernel_size=1),
            conv(stem, channels, kernel_size=3, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        ]
        for number, stage in enumerate(_STAGES):
            if number:
                layers.append(nn.MaxPool2d(3 if number == 1 else 2, 2, ceil_mode=True))
            for row in stage:
                ways = [scaled(way) for way in row]
                layers.append(inception(channels, *ways))
                channels = ways[0] + ways[2] + ways[4] + ways[5]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(channels, len(Stain))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, 2), H&E and IHC, of images (B, 3, h, w) in [0, 1]."""
        pooled = self.features(images * 2 - 1).mean((2, 3))
        logits: Tensor = self.linear(self.dropout(pooled))
        return logits


def stain_probabilities(selector: nn.Module, images: Tensor) -> Tensor:
    """Return (2,), H&E and IHC: the mean over windows (B, 3, h, w) in [0, 1]."""
    with torch.inference_mode():
        averaged: Tensor = selector(images).softmax(1).mean(0)
    return averaged
