"""Stage B: the two-stain classifier, with the generator frozen.

Loss: class-weighted cross-entropy + .1 DAO + .02 DCO (ShaSpec). After a warm-up
with all stains, each stain of a sample is dropped with a chance: a dropped IHC
is replaced by the generator's, a dropped H&E by the shared features of the IHC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer

from napari_her2.models.classifier import ClassifierOutput, Her2Classifier
from napari_her2.models.generator import Generator
from napari_her2.models.network import to_uint8
from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.losses import (
    class_weights,
    classifier_loss,
    domain_classification,
    shared_alignment,
)
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import set_rate
from napari_her2.training.tiles import TileCache

POLY_POWER = 0.9
GRADIENT_NORM = 1.0
BATCHNORM_MOMENTUM = 0.05
"""MobileNetV3's .01 would need thousands of steps to forget its start."""


@dataclass(frozen=True, slots=True)
class ClassifierBatch:
    """Images and labels of one step.

    ``he_tile`` (B, 3, t, t) has its halo, ``ihc`` (B, 3, c, c) is the core;
    ``labels`` (B,); ``drop_he`` and ``drop_ihc`` (B,) are never both true.
    """

    he_tile: Tensor
    ihc: Tensor
    labels: Tensor
    drop_he: Tensor
    drop_ihc: Tensor


class ClassifierStage:
    """Network and optimiser of stage B.

    Parameters
    ----------
    cache
        Tiles.
    tiles
        Indices of those to train on.
    generator
        Trained in stage A; it is frozen here.
    config
        Settings.
    watched
        Indices of validation tiles, called whole at every checkpoint.
    """

    stage = TrainStage.CLASSIFIER

    def __init__(
        self,
        cache: TileCache,
        tiles: NDArray[np.intp],
        generator: Generator,
        config: TrainingConfig,
        watched: NDArray[np.intp] | None = None,
    ) -> None:
        self.cache, self.tiles, self.config = cache, tiles, config
        self.watched = np.empty(0, np.intp) if watched is None else watched
        self.n_steps = config.classifier_steps
        self.generator = generator.requires_grad_(False).eval()
        torch.manual_seed(config.seed)
        self.classifier = Her2Classifier(config.network)
        self.classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in self.classifier.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = BATCHNORM_MOMENTUM
        self._adam = AdamW(
            self.classifier.parameters(),
            config.classifier_rate,
            weight_decay=config.weight_decay,
        )
        labels = torch.from_numpy(cache.labels[tiles, 1:].astype(np.int64))
        self._weights = class_weights(labels.flatten(), config.network.n_classes)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The classifier; the generator does not change."""
        return {"classifier": self.classifier}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """The classifier's AdamW."""
        return {"classifier": self._adam}

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update the classifier on one batch."""
        config = self.config
        done = step / self.n_steps
        set_rate(self._adam, config.classifier_rate * (1 - done) ** POLY_POWER)
        batch = self._batch(rng, dropping=done >= config.all_stains_share)
        self.classifier.train()
        result = self.classifier(
            self._core(batch.he_tile), self._seen_ihc(batch), drop_he=batch.drop_he
        )
        score = functional.cross_entropy(result.logits, batch.labels, self._weights)
        alignment, domain = self._auxiliary(batch, result)
        loss = classifier_loss(
            score,
            alignment,
            domain,
            shared_weight=config.shared_weight,
            domain_weight=config.domain_weight,
        )
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(self.classifier.parameters(), GRADIENT_NORM)
        self._adam.step()
        hits = result.logits.argmax(1) == batch.labels
        watch = len(self.watched) and (step + 1) % config.checkpoint_steps == 0
        return {
            "cross_entropy": score.item(),
            "shared_alignment": alignment.item(),
            "domain_classification": domain.item(),
            "accuracy": hits.float().mean().item(),
            **(self._validate() if watch else {}),
        }

    def _validate(self) -> dict[str, float]:
        """Return the accuracy on the watched tiles with both stains."""
        self.classifier.eval()
        hits = 0
        with torch.inference_mode():
            for index in self.watched:
                he = self._core(to_tensor([self.cache.he[index]]))
                ihc = self._core(to_tensor([self.cache.ihc[index]]))
                call = self.classifier(he, ihc).logits.argmax(1).item()
                hits += int(call == self.cache.labels[index, 0])
        return {"validation_accuracy": hits / len(self.watched)}

    def _auxiliary(
        self, batch: ClassifierBatch, result: ClassifierOutput
    ) -> tuple[Tensor, Tensor]:
        """DAO and DCO over the stains that are really there."""
        present = ~batch.drop_he, ~batch.drop_ihc
        both = present[0] & present[1]
        shared = [features[both] for features in result.shared]
        alignment = (
            shared_alignment(shared) if both.any() else result.logits.new_zeros(())
        )
        domain = domain_classification(
            [
                self.classifier.domain(features[there])
                for features, there in zip(result.specific, present, strict=True)
            ]
        )
        return alignment, domain

    def _seen_ihc(self, batch: ClassifierBatch) -> Tensor:
        ihc = batch.ihc
        if batch.drop_ihc.any():
            with torch.no_grad():
                fake = self.generator(batch.he_tile[batch.drop_ihc] * 2 - 1)
            ihc = ihc.clone()
            ihc[batch.drop_ihc] = self._core(to_uint8(fake)).float() / 255
        return ihc

    def _core(self, image: Tensor) -> Tensor:
        halo = self.config.halo_px
        return image[..., halo:-halo, halo:-halo]

    def _batch(self, rng: Rng, *, dropping: bool) -> ClassifierBatch:
        config = self.config
        count = config.classifier_batch
        core = config.train_core_px // 2
        tile = core + 2 * config.halo_px
        jitter = min(round(config.jitter_um / config.mpp), config.halo_px)
        he, ihc, labels = [], [], []
        for index in rng.choice(self.tiles, count):
            quarter = int(rng.integers(4))
            y, x = core * (quarter // 2), core * (quarter % 2)
            dy, dx = config.halo_px + rng.integers(-jitter, jitter + 1, 2)
            turn = Turn.draw(rng)
            he.append(turn.apply(self.cache.he[index, y : y + tile, x : x + tile]))
            rows, columns = slice(y + dy, y + dy + core), slice(x + dx, x + dx + core)
            ihc.append(turn.apply(self.cache.ihc[index, rows, columns]))
            labels.append(int(self.cache.labels[index, 1 + quarter]))
        luck = torch.from_numpy(rng.random(count))
        chance = config.modality_dropout if dropping else 0.0
        return ClassifierBatch(
            he_tile=vary_he(to_tensor(he), rng),
            ihc=vary_ihc(to_tensor(ihc), rng),
            labels=torch.tensor(labels),
            drop_he=luck < chance,
            drop_ihc=(luck >= chance) & (luck < 2 * chance),
        )
