"""How the maps of two stains become one: ShaSpec's residual fusion and what follows.

Sources: ShaSpec (CVPR 2023, arXiv 2307.14126) for the residual fusion and the
mean of shared features; HER2-MAP (Nature BME 2025) for the masked mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ResidualFusion(nn.Module):
    """ShaSpec's f = r + conv([r, s]), one layer for every stain, no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.compose = nn.Conv2d(2 * width, width, 1, bias=False)

    def forward(self, shared: Tensor, specific: Tensor) -> Tensor:
        """Return the fused map of one stain, shape (B, C, a, a)."""
        residual: Tensor = self.compose(torch.cat([shared, specific], 1))
        return shared + residual


def missing_feature(present_shared: Sequence[Tensor]) -> Tensor:
    """Return what stands for an absent stain: the mean of the shared features."""
    return torch.stack(list(present_shared)).mean(0)


def masked_shares(maps: Sequence[Tensor], there: Sequence[Tensor]) -> list[Tensor]:
    """Divide maps by the number of those that are there; they sum to their mean.

    ``maps`` (B, C, a, a) of each stain, ``there`` (B,) whether it takes part in a
    sample. What is not there adds exactly 0, whatever finite values it has.
    """
    masks = [
        mask.view(-1, 1, 1, 1).to(part) for part, mask in zip(maps, there, strict=True)
    ]
    count = torch.stack(masks).sum(0)
    return [part * mask / count for part, mask in zip(maps, masks, strict=True)]
