"""Stage B: the two-stain classifier, with the generators frozen.

Loss: class-weighted cross-entropy + .1 DAO + .02 DCO (ShaSpec) and, where the
cells are known, the cross-entropy of the cell in each square of the feature map:
one label per image teaches little, one per 8 µm teaches what the label counts.
After a warm-up with all stains, each stain of a sample is dropped with a chance,
and replaced by its generator's image or by the other stain's shared features.
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

from napari_her2.core.errors import UsageError
from napari_her2.models.classifier import (
    ClassifierOutput,
    Her2Classifier,
    masked_mean,
)
from napari_her2.models.generator import Generator
from napari_her2.models.network import to_uint8
from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import mixed_precision, training_device
from napari_her2.training.distributed import average_gradients
from napari_her2.training.labels import label_of
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


@dataclass(frozen=True, slots=True)
class ClassifierBatch:
    """Images and labels of one step.

    ``he_tile`` and ``ihc_tile`` (B, 3, t, t) with their halo; ``labels`` (B,);
    ``cells`` (B, 1 + P, a, a), the share of no cell and of each pattern
    in every square of the feature map, None where not known;
    ``drop_he`` and ``drop_ihc`` (B,) are never both true; ``rebuild`` (B,),
    whether a generator fills in what is dropped.
    """

    he_tile: Tensor
    ihc_tile: Tensor
    labels: Tensor
    cells: Tensor | None
    drop_he: Tensor
    drop_ihc: Tensor
    rebuild: Tensor


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
        done = _share_of_cycle(step, config)
        set_rate(self._adam, config.classifier_rate * (1 - done) ** POLY_POWER)
        warm = step >= config.all_stains_share * self.n_steps
        batch = self._batch(rng, dropping=warm)
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
        he, ihc = self._core(batch.he_tile), self._core(batch.ihc_tile)
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

    def _batch(self, rng: Rng, *, dropping: bool) -> ClassifierBatch:
        config = self.config
        count = config.classifier_batch
        luck = rng.random(count)
        chance = config.modality_dropout if dropping else 0.0
        drop_he, drop_ihc = luck < chance, (luck >= chance) & (luck < 2 * chance)
        he, ihc, labels, cells = [], [], [], []
        for index, alone in zip(
            rng.choice(self.learned, count), drop_he | drop_ihc, strict=True
        ):
            jitters = not alone and self.stage is not TrainStage.HE_ONLY
            sample = self._sample(int(index), rng, jitters=jitters)
            he.append(sample[0])
            ihc.append(sample[1])
            labels.append(sample[2])
            cells.append(sample[3])
        known = [part for part in cells if part is not None]
        device = self.device
        return ClassifierBatch(
            he_tile=vary_he(to_tensor(he), rng).to(device),
            ihc_tile=vary_ihc(to_tensor(ihc), rng).to(device),
            labels=torch.tensor(labels, device=device),
            cells=torch.from_numpy(np.stack(known)).to(device) if known else None,
            drop_he=torch.from_numpy(drop_he).to(device),
            drop_ihc=torch.from_numpy(drop_ihc).to(device),
            rebuild=torch.from_numpy(rng.random(count) < config.rebuilt_share).to(
                device
            ),
        )

    def _sample(
        self, index: int, rng: Rng, *, jitters: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int, NDArray[np.float32] | None]:
        """Draw a crop: both stains with halo, its label and its cells."""
        config, grid = self.config, CELL_GRID_PX
        he_tile, ihc_tile = self.tiles.he[index], self.tiles.ihc[index]
        halo, crop = config.halo_px, config.classifier_crop_px
        side = crop + 2 * halo
        last = len(he_tile) - side
        y, x = grid * rng.integers(0, last // grid + 1, 2)
        jitter = min(round(config.jitter_um / config.mpp), halo) if jitters else 0
        shift = rng.integers(-jitter, jitter + 1, 2)
        v, u = np.clip([y + shift[0], x + shift[1]], 0, last)
        turn = Turn.draw(rng)
        he = turn.apply(he_tile[v : v + side, u : u + side])
        ihc = turn.apply(ihc_tile[y : y + side, x : x + side])
        if self.tiles.cells is None:
            return he, ihc, int(self.tiles.labels[index, 0]), None
        first = np.array([y + halo, x + halo]) // grid
        rows, columns = (slice(i, i + crop // grid) for i in first)
        counts = turn.apply(np.asarray(self.tiles.cells[index][rows, columns]))
        return he, ihc, label_of(counts), self._in_squares(counts)

    def _in_squares(self, counts: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (1 + P, a, a), no cell or the share of each pattern in a square."""
        n = self.config.network.encoder_stride // CELL_GRID_PX
        side = len(counts) // n
        cells = counts.reshape(side, n, side, n, -1).sum((1, 3), dtype=np.float32)
        number = cells.sum(-1, keepdims=True)
        shares = np.concatenate([number == 0, cells / np.maximum(number, 1)], -1)
        return shares.transpose(2, 0, 1).astype(np.float32)


def _share_of_cycle(step: int, config: TrainingConfig) -> float:
    """Return how much of a cycle is done, in [0, 1); a restart begins another."""
    start, end = 0, config.classifier_steps
    if 0 < config.classifier_restart < end:
        if step < config.classifier_restart:
            end = config.classifier_restart
        else:
            start = config.classifier_restart
    return (step - start) / (end - start)
