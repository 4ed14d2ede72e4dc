"""Stages A, B and C on any tiles, one at a time or all, ending in a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.core.errors import UsageError
from napari_her2.core.records import Arm
from napari_her2.models.bundle import write_bundle
from napari_her2.models.network import Her2Network
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.config import TrainingConfig
from napari_her2.training.config_file import dump_config
from napari_her2.training.data_sets import DataSet
from napari_her2.training.demo import attention_scale, install_head
from napari_her2.training.device import training_device
from napari_her2.training.distributed import is_main, n_processes, wait_for_all
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.head_stage import HeadStage
from napari_her2.training.image_tiles import NO_LABEL, require_scores
from napari_her2.training.joint_stage import JointStage
from napari_her2.training.pooling import PooledCores
from napari_her2.training.progress import TrainProgress, TrainStage
from napari_her2.training.scoring import confusion_of, confusion_scores
from napari_her2.training.selector_stage import SelectorStage
from napari_her2.training.steps import Stage, is_finished, run_steps
from napari_her2.training.tiles import Tiles
from napari_her2.training.trained_card import Origin, trained_card

StageName = Literal["a", "b", "c", "all"]
DIRECTIONS = (TrainStage.HE_TO_IHC, TrainStage.IHC_TO_HE)
SETTINGS_NAME = "settings.txt"
VERSION = "1.0"

_GIVEN = {
    Arm.BOTH: (True, True),
    Arm.HE_RECONSTRUCTED: (True, False),
    Arm.IHC_RECONSTRUCTED: (False, True),
}


@dataclass(slots=True)
class StagedRun:
    """A training run in a folder; every stage goes on from its last checkpoint.

    Parameters
    ----------
    config
        Settings; its epochs are counted in steps here.
    out
        Folder of checkpoints, log and bundle.
    data
        What to train on.
    generator_tiles
        Tiles that stage A learns from instead of the training part of ``data``.
    """

    config: TrainingConfig
    out: Path
    data: DataSet
    generator_tiles: Tiles | None = None

    def train(self, stage: StageName = "all") -> Iterator[TrainProgress]:
        """Train one stage, or all; stages B and C end with ``out/bundle``.

        Raises
        ------
        UsageError
            If the stage before is not trained, the data set has no scores of at
            least two classes (B and C), or stage C has no steps.
        """
        split = self.data.split
        self.config = config = self.config.for_images(len(split.train))
        if stage == "c" and not config.joint_steps:
            raise UsageError(
                "Stage C has no steps.", "Set joint_steps or joint_epochs."
            )
        learned, watched = self._scored(split.train), self._scored(split.validation)
        if stage != "a":
            require_scores(self.data.tiles, learned, config.network.n_classes)
        self._require(stage)
        generating = self.generator_tiles or self.data.tiles
        rows = np.arange(len(generating)) if self.generator_tiles else split.train
        stages_a = {
            name.value: GeneratorStage(generating, rows, config, name)
            for name in DIRECTIONS
        }
        for stage_a in stages_a.values():
            yield from self._run(stage_a)
        if stage == "a":
            return
        generators = {name: made.generator for name, made in stages_a.items()}
        tiles = self.data.tiles
        selector = SelectorStage(tiles, learned, config)
        yield from self._run(selector)
        stage_b = ClassifierStage(tiles, learned, generators, config, watched)
        yield from self._run(stage_b)
        if config.head_steps:
            yield from self._train_head(stage_b, learned, watched)
        last = stage_b
        if stage == "c" or (stage == "all" and config.joint_steps):
            last = JointStage(tiles, learned, stages_a, stage_b, config, watched)
            yield from self._run(last)
        network = Her2Network(
            config.network,
            core_px=config.core_px,
            halo_px=config.halo_px,
            attention_scale=attention_scale(last.classifier, tiles, learned, config),
            selector=config.selector_steps > 0,
        )
        network.classifier.load_state_dict(last.classifier.state_dict())
        for name, generator in generators.items():
            network.generators[name].load_state_dict(generator.state_dict())
        if network.selector is not None:
            network.selector.load_state_dict(selector.selector.state_dict())
        if is_main():
            scores = yield from self._score(network)
            self._write(network, scores)
        wait_for_all()

    def _run(self, stage: Stage) -> Iterator[TrainProgress]:
        config = self.config
        yield from run_steps(
            stage,
            self.out,
            seed=config.seed,
            checkpoint_steps=config.checkpoint_steps,
            patience=config.early_stop_patience,
        )

    def _train_head(
        self,
        stage_b: ClassifierStage,
        learned: NDArray[np.intp],
        watched: NDArray[np.intp],
    ) -> Iterator[TrainProgress]:
        config = self.config
        if n_processes() > 1:
            raise UsageError(
                "The head is trained on whole cores by one process only.",
                "Set head_steps: 0, or start without torchrun.",
            )
        count = min(config.head_tiles, len(learned))
        spread = np.linspace(0, len(learned) - 1, count).astype(int)
        pooled = PooledCores(
            self.out / "pooled", self.data.tiles, learned[spread], watched, config
        )
        yield from pooled.fill(
            stage_b.classifier, stage_b.generators, stage_b.mean_count
        )
        head = HeadStage(pooled, config)
        yield from self._run(head)
        install_head(head, stage_b.classifier)

    def _require(self, stage: StageName) -> None:
        """Refuse a stage whose predecessors are not trained."""
        before = {"b": DIRECTIONS, "c": (*DIRECTIONS, TrainStage.CLASSIFIER)}
        for needed in before.get(stage, ()):
            if not is_finished(needed, self.out):
                first = "a" if needed in DIRECTIONS else "b"
                raise UsageError(
                    f"Stage {stage} goes on from the {needed}, which is not trained in "
                    f"{self.out}.",
                    f"Train stage {first} first, or all.",
                )

    def _scored(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the tiles of a part that have a label."""
        has_label = np.asarray(self.data.tiles.labels)[rows, 0] != NO_LABEL
        scored: NDArray[np.intp] = rows[has_label]
        return scored

    def _score(self, network: Her2Network) -> Any:
        """Yield progress over the test part; return the scores of every arm."""
        tiles, n = self.data.tiles, self.config.network.n_classes
        rows = self._scored(self.data.split.test)
        calls: dict[Arm, list[int]] = {arm: [] for arm in Arm}
        network.to(device := training_device())
        for number, row in enumerate(rows, 1):
            he, ihc = (
                to_tensor([stain[row]]).to(device) for stain in (tiles.he, tiles.ihc)
            )
            for arm, logits in _logits(network, he, ihc).items():
                calls[arm].append(int(logits.argmax(1)))
            yield TrainProgress(TrainStage.SCORING, number, len(rows))
        truth = np.asarray(tiles.labels)[rows, 0].astype(int)
        return {
            "data": f"test part of {self.data.name}, used for nothing else",
            "n_test": len(rows),
            "leakage": self.data.leakage,
            "arms": {
                arm.value: confusion_scores(
                    confusion_of(truth, np.array(called, int), n), tiles.classes
                )
                for arm, called in calls.items()
                if called
            },
        }

    def _write(self, network: Her2Network, scores: dict[str, Any]) -> None:
        config, data = self.config, self.data
        origin = Origin(
            name=data.name,
            version=VERSION,
            trained_on=data.trained_on,
            classes=data.tiles.classes,
            licence=data.licence,
            training_command=(
                f"napari-her2 train --config {SETTINGS_NAME} --data "
                f"{data.name}:PATH --out RUN"
            ),
            scores=scores,
        )
        write_bundle(
            self.out / "bundle",
            trained_card(config, network, origin),
            {part: module.state_dict() for part, module in network.parts().items()},
            {
                "training.csv": (self.out / "training.csv").read_text(),
                SETTINGS_NAME: dump_config(config),
            },
        )


@torch.inference_mode()
def _logits(network: Her2Network, he: Tensor, ihc: Tensor) -> dict[Arm, Tensor]:
    """Return the logits of one tile in every arm."""
    found = {
        arm: network(he if has_he else None, ihc if has_ihc else None).logits
        for arm, (has_he, has_ihc) in _GIVEN.items()
    }
    found[Arm.HE] = network.classifier(network.core(he), None).logits
    found[Arm.IHC] = network.classifier(None, network.core(ihc)).logits
    return found
