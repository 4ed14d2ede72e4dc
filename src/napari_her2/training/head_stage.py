"""The end of stage B: attention and head alone, on whole cores.

The encoders are frozen; a step draws cores and arms from
:class:`~napari_her2.training.pooling.PooledCores`. So the head learns the mean
and the maximum of a map of the size it will be given, which crops do not show.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from napari_her2.core.records import Arm
from napari_her2.models.attention import ChannelAttention
from napari_her2.models.head import DualPathHead, count_features
from napari_her2.training.config import TrainingConfig
from napari_her2.training.labels import label_of
from napari_her2.training.losses import class_weights
from napari_her2.training.pooling import FUSED, MASKED_MEAN, QUARTERS, PooledCores
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import set_rate

BOTH_SHARE = 0.4
"""Weight of the arm with all stains, against the sum of the weights of as many
arms."""

_WEIGHT_DECAY = 1e-2


class PooledHead(nn.Module):
    """Channel attention (or none) and dual-path head on pooled features."""

    def __init__(self, config: TrainingConfig, *, attends: bool) -> None:
        super().__init__()
        network = config.network
        width = network.feature_width
        self.attention = (
            ChannelAttention(width, network.attention_width) if attends else None
        )
        self.head = DualPathHead(
            width,
            network.n_classes,
            network.head_dropout,
            n_counts=network.cell_patterns,
            hidden=network.head_hidden,
        )
        self._width = width

    def embed(self, pooled: Tensor) -> Tensor:
        """Return what the head sees of pooled maps and counts (B, 3, C + P)."""
        mean, strongest, peaks = pooled[..., : self._width].unbind(1)
        counted = count_features(pooled[:, 0, self._width :])
        if self.attention is None:
            return torch.cat([mean, peaks, counted], 1)
        # weights are positive, so the peaks of a weighted map are weighted peaks
        weights = self.attention.weigh(mean, strongest)
        return torch.cat([mean * weights, peaks * weights, counted], 1)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.head(self.embed(pooled))
        return logits


class HeadStage:
    """Attention and head on pooled cores.

    Parameters
    ----------
    pooled
        Features of all cores.
    config
        Settings.
    stage
        ``HEAD``, or to compare with: ``HEAD_CONCAT`` (no attention),
        ``HEAD_MASKED_MEAN`` (the mean of the stains' maps, no attention) and
        ``HEAD_HE_ONLY`` (of the network that never saw an IHC).
    """

    def __init__(
        self,
        pooled: PooledCores,
        config: TrainingConfig,
        stage: TrainStage = TrainStage.HEAD,
    ) -> None:
        self.config, self.stage, self.arms = config, stage, pooled.arms
        self.n_steps = config.head_steps
        fusion = MASKED_MEAN if stage is TrainStage.HEAD_MASKED_MEAN else FUSED
        parts = torch.from_numpy(np.array(pooled.values[:, :, fusion]))
        self._values, self._quarters = parts[:, :, 0], parts[:, :, 1:]
        self._labels = torch.from_numpy(pooled.labels)
        self._cells, self._slides = pooled.cells, pooled.slides
        self._learned = np.flatnonzero(pooled.learned)
        self._watched = np.flatnonzero(~pooled.learned)
        torch.manual_seed(config.seed)
        attends = stage in (TrainStage.HEAD, TrainStage.HEAD_HE_ONLY)
        self.head = PooledHead(config, attends=attends)
        self._adam = AdamW(
            self.head.parameters(), config.head_rate, weight_decay=_WEIGHT_DECAY
        )
        self._weights = class_weights(
            self._labels[self._learned], config.network.n_classes
        )
        many = {Arm.BOTH: BOTH_SHARE * len(self.arms)}
        chances = np.array([many.get(arm, 1.0) for arm in self.arms])
        self._chances = chances / chances.sum()

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Attention and head."""
        return {"head": self.head}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """One AdamW."""
        return {"head": self._adam}

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update attention and head on one batch."""
        config = self.config
        set_rate(self._adam, config.head_rate * (1 - step / self.n_steps) ** 0.9)
        values, labels = self._batch(rng)
        self.head.train()
        loss = functional.cross_entropy(self.head(values), labels, self._weights)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        self._adam.step()
        watch = len(self._watched) and (step + 1) % config.validation_steps == 0
        return {"cross_entropy": loss.item(), **(self._validate() if watch else {})}

    def _batch(self, rng: Rng) -> tuple[Tensor, Tensor]:
        """Draw pooled cores (B, 3, C) and their labels (B,)."""
        config = self.config
        rows = rng.choice(self._learned, config.head_batch)
        arms = rng.choice(len(self.arms), config.head_batch, p=self._chances)
        values, labels = self._values[rows, arms], self._labels[rows]
        if self._cells is None:
            return values, labels
        made = np.flatnonzero(rng.random(config.head_batch) < config.recombined_share)
        values, labels = values.clone(), labels.clone()
        for i in made:
            values[i], labels[i] = self._recombine(int(rows[i]), int(arms[i]), rng)
        return values, labels

    def _recombine(self, row: int, arm: int, rng: Rng) -> tuple[Tensor, int]:
        """Put four quarters of a slide's cores together to a core not seen before.

        What the head sees of it and what its cells say is exact, except for peaks
        across the seams.
        """
        assert self._cells is not None  # noqa: S101 - asked by the caller
        same = np.flatnonzero(self._slides == self._slides[row])
        same = same[np.isin(same, self._learned)]
        drawn = rng.choice(QUARTERS * len(same), QUARTERS, replace=False)
        rows, quarters = same[drawn // QUARTERS], drawn % QUARTERS
        mean, strongest, peaks = self._quarters[rows, arm, quarters].unbind(1)
        label = label_of(self._cells[rows, quarters])
        return torch.stack([mean.mean(0), strongest.amax(0), peaks.mean(0)]), label

    def logits(self, rows: Tensor, arm: Arm) -> Tensor:
        """Return logits (n, K) of pooled cores by their number, in one arm."""
        self.head.eval()
        with torch.inference_mode():
            logits: Tensor = self.head(self._values[rows, self.arms.index(arm)])
        return logits

    def embeddings(self, rows: Tensor, arm: Arm) -> Tensor:
        """Return what the head sees of pooled cores (n, 2 C + P), in one arm."""
        self.head.eval()
        with torch.inference_mode():
            embedding: Tensor = self.head.embed(
                self._values[rows, self.arms.index(arm)]
            )
        return embedding

    def _validate(self) -> dict[str, float]:
        rows = torch.from_numpy(self._watched)
        return {
            f"validation_accuracy {arm.value}": (
                self.logits(rows, arm).argmax(1) == self._labels[rows]
            )
            .float()
            .mean()
            .item()
            for arm in self.arms
        }
