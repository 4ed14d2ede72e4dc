"""Stage B: the two-stain classifier, with the generators frozen.

Loss: class-weighted cross-entropy + .1 DAO + .02 DCO (ShaSpec) and, where the
cells are known, the cross-entropy of the cell in each square of the feature map:
one label per image teaches little, one per 8 µm teaches what the label counts.
It may begin with samples of one stain each, so that the encoders know the cells of
either before they are fused. After a warm-up with all stains, each stain of a sample
is dropped with a chance, and replaced by its generator's image or by the other
stain's shared features.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer

from napari_her2.core.errors import UsageError
from napari_her2.models.classifier import (
    ClassifierOutput,
    Her2Classifier,
    masked_mean,
)
from napari_her2.models.generator import Generator
from napari_her2.models.network import to_uint8
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_batch import (
    ClassifierBatch,
    Missing,
    crop,
    draw_batch,
)
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import mixed_precision, training_device
from napari_her2.training.distributed import average_gradients
from napari_her2.training.losses import (
    class_weights,
    classifier_loss,
    domain_classification,
    shared_alignment,
)
from napari_her2.training.progress import TrainStage
from napari_her2.training.steps import freeze_statistics, set_rate
from napari_her2.training.tiles import CELL_GRID_PX, Tiles

POLY_POWER = 0.9
GRADIENT_NORM = 1.0
BATCHNORM_MOMENTUM = 0.05
"""MobileNetV3's .01 would need thousands of steps to forget its start."""


class ClassifierStage:
    """Network and optimiser of stage B.

    Parameters
    ----------
    tiles
        Tiles with halo.
    learned
        Indices of those to train on.
    generators
        ``he_to_ihc`` and ``ihc_to_he`` of stage A; they are frozen here.
    config
        Settings.
    watched
        Indices of validation tiles, called whole now and then.
    stage
        ``CLASSIFIER``, or ``HE_ONLY``: the same network that is never given an
        IHC, trained as hard, to compare with.

    Raises
    ------
    UsageError
        If the squares of the feature map are finer than the known cells.
    """

    def __init__(
        self,
        tiles: Tiles,
        learned: NDArray[np.intp],
        generators: Mapping[str, Generator],
        config: TrainingConfig,
        watched: NDArray[np.intp] | None = None,
        stage: TrainStage = TrainStage.CLASSIFIER,
    ) -> None:
        self.tiles, self.learned, self.config = tiles, learned, config
        if tiles.cells is not None and config.network.encoder_stride % CELL_GRID_PX:
            raise UsageError(
                f"Cells are counted per {CELL_GRID_PX} px, which an encoder_stride of "
                f"{config.network.encoder_stride} divides further.",
                f"Set network.encoder_stride to {CELL_GRID_PX} or a multiple of it.",
            )
        self.stage = stage
        self.watched = np.empty(0, np.intp) if watched is None else watched
        self.n_steps = config.classifier_steps
        self.fusion_step = round(config.single_stain_share * self.n_steps)
        self.device = training_device()
        self.generators = {
            name: generator.to(self.device).requires_grad_(False).eval()
            for name, generator in generators.items()
        }
        torch.manual_seed(config.seed)
        self.classifier = Her2Classifier(config.network)
        # not channels-last: with very narrow maps its backward pass corrupts memory
        self.classifier.to(self.device)
        for module in self.classifier.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = BATCHNORM_MOMENTUM
        # counts on the mean of the stains' maps, for the comparison of fusions
        self.mean_count = nn.Conv2d(
            config.network.feature_width, 1 + config.network.cell_patterns, 1
        ).to(self.device)
        self._adam = AdamW(
            [*self.classifier.parameters(), *self.mean_count.parameters()],
            config.classifier_rate,
            weight_decay=config.weight_decay,
        )
        labels = torch.from_numpy(np.asarray(tiles.labels)[learned, 1:].astype(int))
        self._weights = class_weights(labels.flatten(), config.network.n_classes)
        self._weights = self._weights.to(self.device)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The classifier, and what counts on the mean map; generators stay."""
        return {"classifier": self.classifier, "mean_count": self.mean_count}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """One AdamW."""
        return {"classifier": self._adam}

    def step(self, step: int, rng: Rng) -> dict[str, float]:
        """Update the classifier on one batch."""
        config = self.config
        done = _share_of_cycle(step, self.fusion_step, self.n_steps)
        set_rate(self._adam, config.classifier_rate * (1 - done) ** POLY_POWER)
        batch = self._batch(self._missing(step, rng), rng)
        self.classifier.train()
        if done >= 1 - config.frozen_statistics_share:
            freeze_statistics(self.classifier)
        loss, values = self._losses(batch)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.classifier)
        clip_grad_norm_(self.classifier.parameters(), GRADIENT_NORM)
        self._adam.step()
        watch = len(self.watched) and (step + 1) % config.validation_steps == 0
        return {**values, **(self._validate() if watch else {})}

    def _losses(self, batch: ClassifierBatch) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch, and its parts and the accuracy by name."""
        config = self.config
        with mixed_precision(config.mixed_precision):
            result, mean = self._classify(batch)
        score = functional.cross_entropy(
            result.logits.float(), batch.labels, self._weights
        )
        alignment, domain = self._auxiliary(batch, result)
        cells = self._cell_error(batch, result, mean)
        loss = config.cell_weight * cells + classifier_loss(
            score,
            alignment,
            domain,
            shared_weight=config.shared_weight,
            domain_weight=config.domain_weight,
        )
        hits = result.logits.argmax(1) == batch.labels
        return loss, {
            "cross_entropy": score.item(),
            "shared_alignment": alignment.item(),
            "domain_classification": domain.item(),
            "cells": cells.item(),
            "accuracy": hits.float().mean().item(),
        }

    def _classify(self, batch: ClassifierBatch) -> tuple[ClassifierOutput, Tensor]:
        """Return what is said of a batch, and the mean of the maps of its stains."""
        he, ihc = crop(batch.he_tile, self.config), crop(batch.ihc_tile, self.config)
        if self.stage is TrainStage.HE_ONLY:
            features = self.classifier.encode(he, None)
        else:
            he, ihc = self._rebuild(batch, he, ihc)
            shared_only = ~batch.rebuild
            features = self.classifier.encode(
                he,
                ihc,
                drop_he=batch.drop_he & shared_only,
                drop_ihc=batch.drop_ihc & shared_only,
            )
        return self.classifier.combine(features), masked_mean(features)

    def _rebuild(
        self, batch: ClassifierBatch, he: Tensor, ihc: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Put the generators' images in the places of dropped ones."""
        for_ihc, for_he = (
            dropped & batch.rebuild for dropped in (batch.drop_ihc, batch.drop_he)
        )
        if for_ihc.any():
            ihc = ihc.clone()
            ihc[for_ihc] = self._reconstruct("he_to_ihc", batch.he_tile[for_ihc])
        if for_he.any():
            he = he.clone()
            he[for_he] = self._reconstruct("ihc_to_he", batch.ihc_tile[for_he])
        return he, ihc

    def _reconstruct(self, direction: str, tile: Tensor) -> Tensor:
        with torch.no_grad():
            fake = self.generators[direction](tile * 2 - 1)
        return self._core(to_uint8(fake.float())).float() / 255

    def _validate(self) -> dict[str, float]:
        """Return accuracy and macro-F1 on the watched tiles with all stains."""
        self.classifier.eval()
        n = self.config.network.n_classes
        confusion = np.zeros((n, n), int)
        with torch.inference_mode():
            for index in self.watched:
                he, ihc = (
                    self._core(to_tensor([stain[index]]).to(self.device))
                    for stain in (self.tiles.he, self.tiles.ihc)
                )
                given = None if self.stage is TrainStage.HE_ONLY else ihc
                with mixed_precision(self.config.mixed_precision):
                    call = self.classifier(he, given).logits.argmax(1).item()
                confusion[int(self.tiles.labels[index, 0]), int(call)] += 1
        hits, truth = np.diag(confusion), confusion.sum(1)
        f1 = 2 * hits / np.maximum(truth + confusion.sum(0), 1)
        return {
            "validation_accuracy": float(hits.sum() / truth.sum()),
            "validation_macro_f1": float(f1[truth > 0].mean()),
        }

    def _auxiliary(
        self, batch: ClassifierBatch, result: ClassifierOutput
    ) -> tuple[Tensor, Tensor]:
        """DAO and DCO over the stains that are really there."""
        zero = result.logits.new_zeros((), dtype=torch.float32)
        if self.stage is TrainStage.HE_ONLY:
            return zero, zero
        present = ~batch.drop_he, ~batch.drop_ihc
        both = present[0] & present[1]
        shared = [features[both].float() for features in result.shared]
        domain = [
            self.classifier.domain(features[there].float())
            for features, there in zip(result.specific, present, strict=True)
        ]
        return (
            shared_alignment(shared, self.config.alignment) if both.any() else zero,
            domain_classification(domain),
        )

    def _cell_error(
        self, batch: ClassifierBatch, result: ClassifierOutput, mean: Tensor
    ) -> Tensor:
        """Return the cross-entropy of the cell in a square, 0 where not known."""
        if batch.cells is None or result.cell_logits is None:
            return result.logits.new_zeros((), dtype=torch.float32)
        on_mean = self.mean_count(mean.detach().float())
        return functional.cross_entropy(
            result.cell_logits.float(), batch.cells
        ) + functional.cross_entropy(on_mean, batch.cells)

    def _core(self, image: Tensor) -> Tensor:
        halo = self.config.halo_px
        return image[..., halo:-halo, halo:-halo]

    def _missing(self, step: int, rng: Rng) -> Missing:
        """Draw what the samples of a step do not show."""
        config, fusing = self.config, step - self.fusion_step
        if fusing < 0:
            return Missing.one_of_each(
                rng, config.classifier_batch, config.single_stain_ihc_share
            )
        warm_up = config.all_stains_share * (self.n_steps - self.fusion_step)
        chance = config.modality_dropout if fusing >= warm_up else 0.0
        return self._dropped(rng, chance)

    def _dropped(self, rng: Rng, chance: float) -> Missing:
        config = self.config
        return Missing.at_random(
            rng, config.classifier_batch, chance, config.rebuilt_share
        )

    def _batch(self, missing: Missing, rng: Rng) -> ClassifierBatch:
        jitters = self.stage is not TrainStage.HE_ONLY
        batch = draw_batch(
            self.tiles, self.learned, missing, self.config, rng, jitters=jitters
        )
        return batch.to(self.device)


def _share_of_cycle(step: int, fusion_step: int, n_steps: int) -> float:
    """Return how much of a cycle is done, in [0, 1); fusion begins another."""
    if step < fusion_step:
        return step / fusion_step
    return (step - fusion_step) / (n_steps - fusion_step)
