"""MoRA: a low-rank adapter that knows which stain is missing, on a token encoder.

Source: MoRA (arXiv 2408.09064): a frozen transformer, one module in block 0 only,
its output added to the block's. The down-projection is shared, each missing
modality has its own up-projection, and where nothing is missing both act. Here
the roles are H&E missing and IHC missing, chosen per sample and not per batch.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor, nn

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain


class Pattern(IntEnum):
    """Which stains of a sample are missing."""

    COMPLETE = 0
    HE_MISSING = 1
    IHC_MISSING = 2


class MissingModalityAdapter(nn.Module):
    """Low-rank change of tokens for each pattern of missing stains.

    Parameters
    ----------
    width, rank
        Width of the tokens and of the bottleneck; 3 x width x rank weights.
    """

    acting: Tensor

    def __init__(self, width: int, rank: int = 4) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up_he_missing = nn.Linear(rank, width, bias=False)
        self.up_ihc_missing = nn.Linear(rank, width, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up_he_missing.weight)
        nn.init.zeros_(self.up_ihc_missing.weight)
        # rows: patterns; columns: which of the two projections acts
        acting = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        self.register_buffer("acting", acting, persistent=False)

    def forward(self, tokens: Tensor, patterns: Tensor) -> Tensor:
        """Return what is added to tokens (B, T, D); ``patterns`` (B,) integers."""
        hidden = self.down(tokens)
        acts = self.acting[patterns][:, :, None, None]
        by_he: Tensor = acts[:, 0] * self.up_he_missing(hidden)
        by_ihc: Tensor = acts[:, 1] * self.up_ihc_missing(hidden)
        return by_he + by_ihc


class TokenClassifier(nn.Module):
    """A small vision transformer on the patches of both stains.

    Patches of an absent stain are replaced by their position and stain alone;
    the image that stands there is never read.

    Parameters
    ----------
    image_px, patch_px
        Side of the images and of their patches.
    width, depth, heads
        Of the transformer.
    n_classes
        Number of logits.
    rank
        Rank of the adapter in block 0; None leaves the base as it is.
    """

    def __init__(
        self,
        *,
        image_px: int,
        patch_px: int,
        width: int,
        depth: int,
        heads: int,
        n_classes: int,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        count = (image_px // patch_px) ** 2
        self.patches = nn.Conv2d(3, width, patch_px, stride=patch_px)
        self.positions = nn.Parameter(0.02 * torch.randn(1, count, width))
        self.stains = nn.Parameter(0.02 * torch.randn(len(Stain), 1, 1, width))
        self.summary = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)
        self.adapter = None if rank is None else MissingModalityAdapter(width, rank)

    def forward(
        self,
        he: Tensor | None,
        ihc: Tensor | None,
        *,
        drop_he: Tensor | None = None,
        drop_ihc: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, K) of images (B, 3, h, w) in [0, 1]; None = missing.

        ``drop_he`` and ``drop_ihc`` (B,) mark samples whose image counts as missing.

        Raises
        ------
        UsageError
            If a sample has neither stain.
        """
        given = he if he is not None else ihc
        if given is None:
            raise UsageError("No image to classify.", "Give H&E, IHC or both.")
        absent = [
            _absent(image, drop, given)
            for image, drop in ((he, drop_he), (ihc, drop_ihc))
        ]
        if bool((absent[0] & absent[1]).any()):
            raise UsageError("No image to classify.", "Give H&E, IHC or both.")
        patterns = absent[0] * Pattern.HE_MISSING + absent[1] * Pattern.IHC_MISSING
        parts = [
            self._tokens(image, mark) + self.positions + stain
            for image, mark, stain in zip((he, ihc), absent, self.stains, strict=True)
        ]
        tokens = torch.cat([self.summary.expand(len(given), -1, -1), *parts], 1)
        for number, block in enumerate(self.blocks):
            changed = block(tokens)
            if number == 0 and self.adapter is not None:
                changed = changed + self.adapter(tokens, patterns)
            tokens = changed
        logits: Tensor = self.head(self.norm(tokens[:, 0]))
        return logits

    def freeze_base(self) -> None:
        """Leave only adapter and head to be trained, as MoRA does."""
        self.requires_grad_(False)
        for part in (self.adapter, self.head):
            if part is not None:
                part.requires_grad_(True)

    def _tokens(self, image: Tensor | None, absent: Tensor) -> Tensor:
        """Embed the patches (B, T, D) of the images that are there."""
        count, width = self.positions.shape[1:]
        tokens = self.positions.new_zeros(len(absent), count, width)
        if image is not None:
            there = ~absent
            tokens[there] = self.patches(image[there]).flatten(2).mT.to(tokens)
        return tokens


def _absent(image: Tensor | None, drop: Tensor | None, given: Tensor) -> Tensor:
    if image is None:
        return torch.ones(len(given), dtype=torch.bool, device=given.device)
    if drop is None:
        return torch.zeros(len(given), dtype=torch.bool, device=given.device)
    return drop.bool()
