"""CM-GAN generator: one stain's image from the other's.

The ResNet generator of Pyramid Pix2Pix (arXiv 2204.11425) with, in the
multi-scale form, two parallel dilations and a spatial attention in every
residual block and U-shaped skips (after arXiv 2506.10006). Nothing in it pools
over the tile and BatchNorm is frozen at inference, so a pixel depends on its
receptive field only.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from napari_her2.models.attention import SpatialAttention
from napari_her2.models.config import NetworkConfig

STRIDE = 4
"""Tile origins and halos must be multiples of this for tile independence."""


def receptive_field_px(config: NetworkConfig) -> int:
    """Return how far a generator's output pixel looks, in pixels to one side.

    Follows the interval of inputs that an output pixel touches through every
    layer, for each position of the pixel on the stride-4 lattice.

    Examples
    --------
    >>> from napari_her2.models.config import DEMO
    >>> receptive_field_px(DEMO)
    60
    """
    # dilation 2, 3x3, attention 7x7; plain: two 3x3
    block = 2 + 1 + 3 if config.multi_scale else 1 + 1
    reach = 0
    for pixel in range(STRIDE):
        low, high = pixel - 3, pixel + 3
        for _ in range(2):
            low, high = low // 2, -(-high // 2)
        low -= block * config.generator_blocks
        high += block * config.generator_blocks
        for _ in range(2):
            low, high = 2 * low - 1, 2 * high + 1
        reach = max(reach, pixel - (low - 3), high + 3 - pixel)
    return reach


def _conv(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(dilation),
        nn.Conv2d(inputs, outputs, 3, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """x + attention(conv(sum of branches)); plain: x + conv(conv(x))."""

    def __init__(self, width: int, dropout: float, multi_scale: bool) -> None:
        super().__init__()
        dilations = (1, 2) if multi_scale else (1,)
        self.branches = nn.ModuleList(_conv(width, width, d) for d in dilations)
        self.dropout = nn.Dropout(dropout)
        self.merge = _conv(width, width)
        self.attention = SpatialAttention() if multi_scale else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return a map of the same shape."""
        hidden = reduce(torch.add, (torch.relu(b(features)) for b in self.branches))
        residual: Tensor = self.attention(self.merge(self.dropout(hidden)))
        return features + residual


class Generator(nn.Module):
    """Map an image in [-1, 1], shape (B, 3, h, w), to one of the same shape.

    Height and width must be multiples of :data:`STRIDE`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.generator_width
        self.head = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(2 * w),
                nn.ReLU(),
            )
            for w in (width, 2 * width)
        )
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(4 * width, config.generator_dropout, config.multi_scale)
                for _ in range(config.generator_blocks)
            )
        )
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(
                    2 * w, w, 3, stride=2, padding=1, output_padding=1, bias=False
                ),
                nn.BatchNorm2d(w),
                nn.ReLU(),
            )
            for w in (2 * width, width)
        )
        self.skips = nn.ModuleList(
            nn.Conv2d(2 * w, w, 1) if config.multi_scale else nn.Identity()
            for w in (2 * width, width)
        )
        self.multi_scale = config.multi_scale
        self.tail = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the translated image in [-1, 1]."""
        features: Tensor = self.head(image)
        kept = []
        for down in self.downs:
            kept.append(features)
            features = down(features)
        features = self.blocks(features)
        for up, skip in zip(self.ups, self.skips, strict=True):
            features = up(features)
            if self.multi_scale:
                features = skip(torch.cat([features, kept.pop()], 1))
        translated: Tensor = self.tail(features)
        return translated


def init_gan_weights(module: nn.Module) -> None:
    """Draw weights as pix2pix does: normal with gain .02 (use with ``apply``)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
