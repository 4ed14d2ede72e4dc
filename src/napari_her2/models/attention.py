"""CBAM's two attentions: over channels (fusion) and over space (generator).

Source: Woo et al. 2018, arXiv 1807.06521; the channel attention uses a fixed
bottleneck instead of CBAM's reduction ratio.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """One weight in (0, 1) per channel: sigmoid(W1 W0 avg + W1 W0 max).

    Parameters
    ----------
    channels, bottleneck
        Width of the map and of the shared two-layer perceptron.
    """

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, bottleneck, bias=False)
        self.up = nn.Linear(bottleneck, channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weights, shape (B, C), of a map (B, C, h, w)."""
        return self.weigh(features.mean((2, 3)), features.amax((2, 3)))

    def weigh(self, average: Tensor, strongest: Tensor) -> Tensor:
        """Return the weights (B, C) of a map whose pooled values (B, C) are known."""
        hidden = [torch.relu(self.down(pooled)) for pooled in (average, strongest)]
        return torch.sigmoid(self.up(hidden[0]) + self.up(hidden[1]))


class SpatialAttention(nn.Module):
    """Scale every position by a 7x7 convolution of its channel mean and maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, padding_mode="reflect", bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return a map of the same shape (B, C, h, w)."""
        pooled = torch.cat(
            [features.mean(1, keepdim=True), features.amax(1, keepdim=True)], 1
        )
        return features * torch.sigmoid(self.conv(pooled))
