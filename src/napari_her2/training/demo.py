"""Train the demo bundle on virtual slides, from nothing to a bundle with its card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from napari_her2.core.records import Arm
from napari_her2.models.bundle import write_bundle
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.familiarity import Familiarity, constants
from napari_her2.models.network import Her2Network, evidence_sum
from napari_her2.models.statistics import STATISTICS, statistics_state
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.config import TrainingConfig
from napari_her2.training.device import training_device
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.head_stage import HeadStage
from napari_her2.training.held_out import HeldOut
from napari_her2.training.known_tissue import (
    fit_familiarity,
    tile_images,
    virtual_images,
)
from napari_her2.training.pooling import PooledCores
from napari_her2.training.progress import TrainProgress, TrainStage
from napari_her2.training.selector_stage import SelectorStage
from napari_her2.training.steps import Stage, run_steps
from napari_her2.training.tiles import CLASSES, TileCache, Tiles, TileSource
from napari_her2.training.trained_card import Origin, trained_card
from napari_her2.training.virtual import VirtualTiles

VERSION = "2.2"
_EVIDENCE_TILES = 48
_WATCHED_TILES = 16
_FAMILIARITY = "familiarity.safetensors"


@dataclass(slots=True)
class DemoRun:
    """A training run in a folder; each part goes on from its last checkpoint.

    Parameters
    ----------
    config
        Settings.
    out
        Folder of the run: tiles, checkpoints, log, bundle and comparisons.
    generator_source, train_source
        Where tiles come from; virtual slides when not given.
    """

    config: TrainingConfig
    out: Path
    generator_source: TileSource | None = None
    train_source: TileSource | None = None

    def train(self, *, comparisons: bool = False) -> Iterator[TrainProgress]:
        """Train everything and write ``out/bundle``.

        Parameters
        ----------
        comparisons
            Also train what the bundle is compared with, into ``out/comparisons``.

        Yields
        ------
        TrainProgress
            After every slide, step and pooled core.
        """
        restained = self._cache("generator")
        tiles = self._cache("train")
        for cache in (restained, tiles):
            yield from cache.fill(self.config.processes)
        stages = {
            stage: GeneratorStage(restained, _all(restained), self.config, stage)
            for stage in (TrainStage.HE_TO_IHC, TrainStage.IHC_TO_HE)
        }
        for stage_a in stages.values():
            yield from self._run(stage_a)
        generators = {stage.value: made.generator for stage, made in stages.items()}
        learned, watched = self._split(tiles)
        selector = SelectorStage(tiles, learned, self.config)
        yield from self._run(selector)
        few = _thinned(watched)
        stage_b = ClassifierStage(tiles, learned, generators, self.config, few)
        yield from self._run(stage_b)
        pooled = PooledCores(
            self.out / "pooled", tiles, *self._cores(learned, watched), self.config
        )
        yield from pooled.fill(stage_b.classifier, generators, stage_b.mean_count)
        head = HeadStage(pooled, self.config)
        yield from self._run(head)
        install_head(head, stage_b.classifier)

        network = self._network(stage_b.classifier, tiles, learned)
        for name, generator in generators.items():
            network.generators[name].load_state_dict(generator.state_dict())
        network.classifier.load_state_dict(stage_b.classifier.state_dict())
        assert network.selector is not None  # noqa: S101 - asked for above
        network.selector.load_state_dict(selector.selector.state_dict())
        yield from self._known(tiles)
        self._write(network, head, pooled, tiles)
        if comparisons:
            yield from self._compare(restained, tiles, stage_b, pooled)

    def _compare(
        self,
        restained: TileCache,
        tiles: TileCache,
        stage_b: ClassifierStage,
        pooled: PooledCores,
    ) -> Iterator[TrainProgress]:
        """Train the networks that the bundle is compared with, as hard as its own."""
        folder = self.out / "comparisons"
        folder.mkdir(exist_ok=True)
        learned, watched = self._split(tiles)
        parts: dict[TrainStage, dict[str, nn.Module]] = {
            TrainStage.HEAD_CONCAT: {},
            TrainStage.HEAD_MASKED_MEAN: {"count": stage_b.mean_count},
        }
        for name, others in parts.items():
            head = HeadStage(pooled, self.config, name)
            yield from self._run(head)
            made = nn.ModuleDict({"head": head.head.head, **others})
            _save(made, folder / f"{name.value}.safetensors")
        he_only = ClassifierStage(
            tiles, learned, {}, self.config, _thinned(watched), TrainStage.HE_ONLY
        )
        yield from self._run(he_only)
        cores = PooledCores(
            self.out / "pooled_he_only",
            tiles,
            *self._cores(learned, watched),
            self.config,
            (Arm.HE,),
        )
        yield from cores.fill(he_only.classifier, {}, he_only.mean_count)
        head = HeadStage(cores, self.config, TrainStage.HEAD_HE_ONLY)
        yield from self._run(head)
        install_head(head, he_only.classifier)
        _save(he_only.classifier, folder / "he_only.safetensors")
        plain = GeneratorStage(
            restained, _all(restained), self.config, TrainStage.PLAIN_HE_TO_IHC
        )
        yield from self._run(plain)
        _save(plain.generator, folder / "plain_he_to_ihc.safetensors")

    def _run(self, stage: Stage) -> Iterator[TrainProgress]:
        config = self.config
        yield from run_steps(
            stage, self.out, seed=config.seed, checkpoint_steps=config.checkpoint_steps
        )

    def _cache(self, name: str) -> TileCache:
        if name == "generator":
            source = self.generator_source or VirtualTiles.for_generator(self.config)
        else:
            source = self.train_source or VirtualTiles.for_training(self.config)
        return TileCache(self.out / "tiles" / name, source)

    def _split(self, tiles: TileCache) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        is_learned = tiles.slides < self.config.n_slides
        return np.flatnonzero(is_learned), np.flatnonzero(~is_learned)

    def _cores(
        self, learned: NDArray[np.intp], watched: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the cores whose features are pooled, spread over the slides."""
        count = min(self.config.head_tiles, len(learned))
        spread = np.linspace(0, len(learned) - 1, count).astype(int)
        return learned[spread], watched

    def _network(
        self,
        classifier: Her2Classifier,
        tiles: TileCache,
        learned: NDArray[np.intp],
    ) -> Her2Network:
        config = self.config
        return Her2Network(
            config.network,
            core_px=config.core_px,
            halo_px=config.halo_px,
            attention_scale=attention_scale(classifier, tiles, learned, config),
            selector=True,
        )

    def _known(self, tiles: TileCache) -> Iterator[TrainProgress]:
        """Fit what familiar tissue looks like, into ``out/familiarity.safetensors``."""
        path = self.out / _FAMILIARITY
        yield TrainProgress(TrainStage.FAMILIARITY, 0, 1)
        if not path.exists():
            config = self.config
            first = VirtualTiles.for_familiarity(config)
            n_slides = config.n_familiarity_slides
            images = chain(
                virtual_images(first, n_slides, mpp=config.mpp),
                tile_images(tiles.he, tiles.ihc, tiles.slides.tolist()),
            )
            save_file(fit_familiarity(images).state(), path)
        yield TrainProgress(TrainStage.FAMILIARITY, 1, 1)

    def _write(
        self,
        network: Her2Network,
        head: HeadStage,
        pooled: PooledCores,
        tiles: TileCache,
    ) -> None:
        held_out = HeldOut(head, pooled, CLASSES, self.config.miss_share)
        scores = {
            "data": "validation slides, by which training was watched; "
            "docs/results.md has slides that nothing was chosen by",
            "arms": held_out.scores(),
        }
        familiarity = Familiarity.from_state(load_file(self.out / _FAMILIARITY))
        gate = held_out.gate(network, tiles)
        origin = Origin(
            name="demo",
            version=VERSION,
            trained_on=_trained_on(self.config),
            classes=CLASSES,
            licence="BSD-3-Clause",
            training_command=training_command(self.config),
            scores=scores,
            further={
                "calibration": held_out.calibration().to_dict(),
                "gate": {"subsets": list(gate.names)},
                "familiarity": constants(),
            },
        )
        parts = {n: module.state_dict() for n, module in network.parts().items()}
        write_bundle(
            self.out / "bundle",
            trained_card(self.config, network, origin),
            {**parts, STATISTICS: statistics_state(gate, familiarity)},
            {"training.csv": (self.out / "training.csv").read_text()},
        )


def install_head(head: HeadStage, classifier: Her2Classifier) -> None:
    """Give a classifier the attention and head that were trained on whole cores."""
    classifier.attention = head.head.attention
    classifier.head = head.head.head


def _save(module: nn.Module, path: Path) -> None:
    state = {name: t.contiguous() for name, t in module.state_dict().items()}
    save_file(state, path)


def training_command(config: TrainingConfig) -> str:
    """Return the command that makes the bundle again, without the defaults.

    Examples
    --------
    >>> training_command(TrainingConfig(seed=3, n_slides=10))
    'napari-her2 train --seed 3 --n-slides 10'
    """
    default = TrainingConfig()
    changed = [
        f"--{field.name.replace('_', '-')} {getattr(config, field.name)}"
        for field in fields(config)
        if getattr(config, field.name) != getattr(default, field.name)
    ]
    return " ".join(["napari-her2 train", *changed])


def _thinned(watched: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the few validation tiles that are called while training."""
    return watched[:: max(1, len(watched) // _WATCHED_TILES)]


def _all(cache: TileCache) -> NDArray[np.intp]:
    return np.arange(len(cache))


def attention_scale(
    classifier: Her2Classifier,
    tiles: Tiles,
    learned: NDArray[np.intp],
    config: TrainingConfig,
) -> float:
    """Return the 99th percentile of the evidence on training tiles with all stains."""
    classifier.eval()
    inside = slice(config.halo_px, -config.halo_px)
    sums = []
    with torch.inference_mode():
        for index in learned[:: max(1, len(learned) // _EVIDENCE_TILES)]:
            he, ihc = (
                to_tensor([stain[index][inside, inside]]).to(training_device())
                for stain in (tiles.he, tiles.ihc)
            )
            sums.append(evidence_sum(classifier(he, ihc)).flatten().cpu())
    return max(float(torch.cat(sums).quantile(0.99)), 1e-6)


def _trained_on(config: TrainingConfig) -> str:
    return (
        "virtual tissue only, drawn by a program; no real slide. "
        f"Generators: {config.n_generator_slides} restained slides; classifier: "
        f"{config.n_slides} pairs of neighbouring sections, head and thresholds: "
        f"{config.n_validation_slides} further pairs; {config.tiles_per_slide} "
        "tiles each, the five strata equally often, H&E carries HER2 with signal "
        f"{config.morphology_signal} of 1"
    )
