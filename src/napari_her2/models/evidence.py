"""Overlays from what the classifier kept: where it looked, and at which stain."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_her2.models.classifier import ClassifierOutput

STRONGEST_CHANNELS = 8
"""How many channels of the attention module make up the evidence map."""


def evidence_sum(result: ClassifierOutput) -> Tensor:
    """Sum the positive weighted activations of the strongest channels.

    Strongest means the :data:`STRONGEST_CHANNELS` largest channel weights of
    the tile. Shape (B, a, a), not yet scaled.
    """
    count = min(STRONGEST_CHANNELS, result.channel_weights.shape[1])
    strongest = result.channel_weights.topk(count).indices
    picked = result.attended.gather(
        1, strongest[:, :, None, None].expand(-1, -1, *result.attended.shape[2:])
    )
    return picked.clamp(min=0).sum(1)


def branch_share(result: ClassifierOutput, *, he_given: bool) -> Tensor:
    """Share of the H&E branch, real or reconstructed, in what attention lets through.

    The fused map is linear in both branches: W_he f_he + W_ihc f_ihc. A
    branch's contribution is the mean over the tile of its part's magnitude,
    times the channel weight, summed over channels. Without H&E its share is 0,
    for what stands in for it comes from the IHC.
    """
    weights = result.channel_weights
    he = (result.he_part.abs().mean((2, 3)) * weights).sum(1)
    ihc = (result.ihc_part.abs().mean((2, 3)) * weights).sum(1)
    if not he_given:
        return torch.zeros_like(he)
    return he / (he + ihc).clamp(min=torch.finfo(he.dtype).tiny)
