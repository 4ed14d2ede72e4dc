"""Which stain a tile shows: GoogLeNet at a width factor, for H&E and IHC.

The framework's branch selector (arXiv 2506.10006) with torchvision's Inception
blocks. It verifies the stain an image was given as; which stains are there is
decided by what was given, never by this network.
"""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_her2.core.score import Stain
from napari_her2.models.torchvision_ops import torchvision
from napari_her2.stain.separation import dab_share, tissue_of
from napari_her2.stain.verdict import StainVerdict, judge_stain

# torchvision.models.googlenet is a function that hides the module
_googlenet = import_module(torchvision.models.GoogLeNet.__module__)

WINDOW_PX = 224
"""Side of the windows the selector was made for."""

MOST_WINDOWS = 16
LEAST_TISSUE_SHARE = 0.1
"""Windows with less tissue say nothing about a stain."""

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


def verify_stain(
    selector: nn.Module, image: NDArray[np.uint8], declared: Stain
) -> StainVerdict:
    """Compare an image with the stain it was given as.

    Parameters
    ----------
    selector
        A :class:`StainSelector` in evaluation mode.
    image
        RGB (h, w, 3) at the bundle's µm per pixel. The windows of it that hold
        most tissue are looked at, :data:`MOST_WINDOWS` at most.
    declared
        The stain it was given as.
    """
    windows = _windows(image)
    if not windows:
        return judge_stain(declared, math.nan, math.nan)
    batch = torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2)
    device = next(selector.parameters()).device
    with torch.inference_mode():
        logits = selector(batch.to(device).float() / 255)
        seen = logits.softmax(1).mean(0).tolist()
    probability = seen[list(Stain).index(declared)]
    return judge_stain(declared, probability, dab_share(np.concatenate(windows)))


def _windows(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Cut an image into windows and return those with tissue, most tissue first."""
    height, width = image.shape[:2]
    side = min(WINDOW_PX, height, width)
    ranked = []
    for y in range(0, height - side + 1, side):
        for x in range(0, width - side + 1, side):
            window = image[y : y + side, x : x + side]
            ranked.append((float(tissue_of(window).mean()), window))
    ranked.sort(key=lambda pair: -pair[0])
    return [w for share, w in ranked[:MOST_WINDOWS] if share >= LEAST_TISSUE_SHARE]
