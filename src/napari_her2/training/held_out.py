"""What slides that no weight was trained on tell about a bundle, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.core.records import Arm
from napari_her2.core.score import Score, Stain
from napari_her2.models.agreement import section_agreement
from napari_her2.models.calibration import Calibration
from napari_her2.models.gate import BOTH, Gate
from napari_her2.models.network import (
    HE_TO_IHC,
    IHC_TO_HE,
    WITH_RECONSTRUCTION,
    Her2Network,
)
from napari_her2.training.augment import to_tensor
from napari_her2.training.device import training_device
from napari_her2.training.head_stage import HeadStage
from napari_her2.training.pooling import ARMS, PooledCores
from napari_her2.training.scoring import confusion_of, confusion_scores
from napari_her2.training.statistics import (
    agreement_threshold,
    fit_calibration,
    fit_gate,
)
from napari_her2.training.tiles import Tiles

REFUSED = 0.02
"""Share of the right reconstructions that the least reward may refuse."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The validation cores of a run, scored in every arm.

    Parameters
    ----------
    head, pooled
        The head in its final state, and the features of all cores.
    classes
        Names of the classes.
    alpha
        Share of prediction sets that may miss the truth.
    """

    head: HeadStage
    pooled: PooledCores
    classes: Sequence[str]
    alpha: float

    @property
    def _rows(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(~self.pooled.learned))

    def scores(self) -> dict[str, Any]:
        """Return confusion and accuracy of every arm."""
        labels = self.pooled.labels[self._rows.numpy()]
        return {
            arm.value: confusion_scores(
                confusion_of(
                    labels, self.head.logits(self._rows, arm).argmax(1).numpy()
                )
            )
            for arm in ARMS
        }

    def calibration(self) -> Calibration:
        """Fit temperatures and quantiles, with the coverage they reach.

        The coverage is that of slides left out one at a time, each judged by what
        all others give.
        """
        rows = self._rows.numpy()
        logits = {arm: self.head.logits(self._rows, arm).numpy() for arm in ARMS}
        labels, slides = self.pooled.labels[rows], self.pooled.slides[rows]
        fitted = fit_calibration(logits, labels, slides, self.classes, self.alpha)
        held = {arm: self._coverage(logits, labels, slides, arm) for arm in ARMS}
        reached = {arm: share for arm, share in held.items() if share is not None}
        return replace(fitted, coverage_reached=reached)

    def _coverage(
        self,
        logits: dict[Arm, NDArray[np.float32]],
        labels: NDArray[np.int64],
        slides: NDArray[np.integer[Any]],
        arm: Arm,
    ) -> float | None:
        strata = [Score(name) for name in self.classes if name in set(Score)]
        columns = [k for k, name in enumerate(self.classes) if name in set(Score)]
        hits: list[bool] = []
        for slide in np.unique(slides):
            out = slides == slide
            if out.all():
                return None
            rest = fit_calibration(
                {arm: logits[arm][~out]},
                labels[~out],
                slides[~out],
                self.classes,
                self.alpha,
            )
            asked = np.flatnonzero(out & np.isin(labels, columns))
            if not len(asked):
                continue
            given = rest.probabilities_of_logits(logits[arm][asked][:, columns], arm)
            sets = rest.sets(given, arm, strata)
            places = np.searchsorted(columns, labels[asked])
            hits += sets[np.arange(len(asked)), places].tolist()
        return round(float(np.mean(hits)), 4) if hits else None

    def gate(self, network: Her2Network, tiles: Tiles) -> Gate:
        """Fit prototypes on all cores, agreement and reward on the held-out ones."""
        every = torch.arange(len(self.pooled.rows))
        named = {Stain.HE.value: Arm.HE, Stain.IHC.value: Arm.IHC, BOTH: Arm.BOTH}
        embeddings = {n: self.head.embeddings(every, arm) for n, arm in named.items()}
        rows = self.pooled.rows[self._rows.numpy()]
        least = {
            stain: _least_agreement(network, images, rows, direction)
            for stain, images, direction in (
                (Stain.HE, tiles.he, HE_TO_IHC),
                (Stain.IHC, tiles.ihc, IHC_TO_HE),
            )
        }
        gate = fit_gate(embeddings, self.pooled.labels, least)
        for number, stain in enumerate(Stain):
            alone = embeddings[stain][self._rows]
            gate.min_reward[number] = self._least_reward(gate, stain, alone)
        return gate

    def _least_reward(self, gate: Gate, stain: Stain, alone: Tensor) -> float:
        """Return the reward below which few right reconstructions lie, at most 0."""
        beside = self.head.embeddings(self._rows, WITH_RECONSTRUCTION[stain])
        rewards = [
            gate.reward(one, other, stain, BOTH).reward
            for one, other in zip(alone, beside, strict=True)
        ]
        return min(0.0, float(np.quantile(rewards, REFUSED))) if rewards else 0.0


def _least_agreement(
    network: Her2Network, images: Any, rows: NDArray[np.intp], direction: str
) -> float:
    """Return what tells a reconstruction of a core from that of the next core."""
    right, wrong = [], []
    before: Tensor | None = None
    with torch.inference_mode():
        for row in rows:
            tile = to_tensor([images[row]]).to(training_device())
            made = network.synthesize(tile, direction).float() / 255
            real = network.core(tile)
            right.append(float(section_agreement(real, made)))
            if before is not None:
                wrong.append(float(section_agreement(real, before)))
            before = made
    return agreement_threshold(right, wrong) if wrong else -1.0
