"""The dual-path head: logits from the mean of a map and the mean of its peaks.

Ours, where the configuration asks for it: what was counted in the squares joins
the pooled features, and a hidden layer stands before the logits, because the lines
of the guideline follow each other, which one linear layer cannot express.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEAST_SHARE = 1e-6
_COUNT_SCALE = 10.0
"""Brings the roots of counts to the size of the other features."""


class DualPathHead(nn.Module):
    """Logits from [average ; average of the 3x3 stride-2 maximum] of a map.

    Parameters
    ----------
    width
        Channels of the map.
    n_classes, dropout
        Number of logits; dropout before every linear layer.
    n_counts
        Numbers of :func:`count_features` behind the pooled ones.
    hidden
        Width of a hidden layer; 0 for none.
    """

    def __init__(
        self,
        width: int,
        n_classes: int,
        dropout: float,
        *,
        n_counts: int = 0,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.n_inputs = 2 * width + n_counts
        self.hidden = nn.Linear(self.n_inputs, hidden) if hidden else None
        self.linear = nn.Linear(hidden or self.n_inputs, n_classes)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits (B, K) of what :func:`dual_path` gave, with any counts."""
        if self.hidden is not None:
            embedding = torch.relu(self.hidden(self.dropout(embedding)))
        logits: Tensor = self.linear(self.dropout(embedding))
        return logits


def dual_path(features: Tensor) -> Tensor:
    """Pool a map (B, C, a, a) to (B, 2 C): its mean and the mean of its peaks."""
    peaks = functional.max_pool2d(features, 3, stride=2, padding=1)
    return torch.cat([features.mean((2, 3)), peaks.mean((2, 3))], 1)


def count_features(mean_cells: Tensor) -> Tensor:
    """Return what the head sees of mean counts per square (B, P), in [0, 1].

    The root makes the noise of a count independent of it (Anscombe 1948).
    """
    return _COUNT_SCALE * mean_cells.clamp(min=_LEAST_SHARE).sqrt()
