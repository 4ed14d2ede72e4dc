"""The dual-path head: logits from the mean of a map and the mean of its peaks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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
