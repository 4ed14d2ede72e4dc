"""Train the demo bundle on virtual slides, from nothing to a scored bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_her2.models.bundle import write_bundle
from napari_her2.models.card import INTENDED_USE, Card
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.network import Her2Network, evidence_sum
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.config import TrainingConfig
from napari_her2.training.generator_stage import GeneratorStage
from napari_her2.training.progress import TrainProgress
from napari_her2.training.scoring import Scorer
from napari_her2.training.steps import run_steps
from napari_her2.training.tiles import CLASSES, TileCache, TileSource
from napari_her2.training.virtual import VirtualTiles

VERSION = "1.0"
_EVIDENCE_TILES = 64


def train_demo(
    config: TrainingConfig,
    out: Path,
    *,
    generator_source: TileSource | None = None,
    train_source: TileSource | None = None,
    test_source: TileSource | None = None,
) -> Iterator[TrainProgress]:
    """Render tiles, train generator and classifier, score, write ``out/bundle``.

    A run that was stopped goes on from its last checkpoint when called again
    with the same configuration and folder.

    Parameters
    ----------
    config
        Settings.
    out
        Folder of the run: tiles, checkpoints, log and bundle.
    generator_source, train_source, test_source
        Where tiles come from; virtual slides when not given.

    Yields
    ------
    TrainProgress
        After every slide, step and scored tile.
    """
    generator_source = generator_source or VirtualTiles.for_generator(config)
    train_source = train_source or VirtualTiles.for_training(config)
    test_source = test_source or VirtualTiles.for_test(config)
    restained = TileCache(out / "tiles" / "generator", generator_source)
    train = TileCache(out / "tiles" / "train", train_source)
    test = TileCache(out / "tiles" / "test", test_source)
    for cache in (restained, train, test):
        yield from cache.fill(config.processes)
    is_learned = train.slides < config.n_slides
    learned, watched = np.flatnonzero(is_learned), np.flatnonzero(~is_learned)

    stage_a = GeneratorStage(restained, np.arange(len(restained)), config)
    yield from run_steps(
        stage_a, out, seed=config.seed, checkpoint_steps=config.checkpoint_steps
    )
    stage_b = ClassifierStage(train, learned, stage_a.generator, config, watched)
    yield from run_steps(
        stage_b, out, seed=config.seed, checkpoint_steps=config.checkpoint_steps
    )

    network = Her2Network(
        config.network,
        core_px=config.core_px,
        halo_px=config.halo_px,
        attention_scale=_attention_scale(stage_b.classifier, train, learned, config),
    )
    network.generator.load_state_dict(stage_a.generator.state_dict())
    network.classifier.load_state_dict(stage_b.classifier.state_dict())
    scorer = Scorer(network, test)
    yield from scorer.run()
    write_bundle(
        out / "bundle",
        _card(config, network, scorer),
        {
            "generator": network.generator.state_dict(),
            "classifier": network.classifier.state_dict(),
        },
        {"training.csv": (out / "training.csv").read_text()},
    )


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


def _attention_scale(
    classifier: Her2Classifier,
    cache: TileCache,
    tiles: NDArray[np.intp],
    config: TrainingConfig,
) -> float:
    """Return the 99th percentile of the evidence on training tiles with both stains."""
    classifier.eval()
    inside = slice(config.halo_px, -config.halo_px)
    sums = []
    with torch.inference_mode():
        for index in tiles[:: max(1, len(tiles) // _EVIDENCE_TILES)]:
            he = to_tensor([cache.he[index, inside, inside]])
            ihc = to_tensor([cache.ihc[index, inside, inside]])
            sums.append(evidence_sum(classifier(he, ihc)).flatten())
    return max(float(torch.cat(sums).quantile(0.99)), 1e-6)


def _card(config: TrainingConfig, network: Her2Network, scorer: Scorer) -> Card:
    return Card(
        name="demo",
        version=VERSION,
        trained_on=(
            "virtual tissue only, drawn by a program; no real slide. "
            f"Generator: {config.n_generator_slides} restained slides; classifier: "
            f"{config.n_slides} pairs of neighbouring sections; "
            f"{config.tiles_per_slide} tiles each, the five strata equally often, "
            f"H&E carries HER2 with signal {config.morphology_signal} of 1. A short "
            "run on two CPU cores, to show the program and not to score well"
        ),
        mpp=config.mpp,
        core_px=config.core_px,
        halo_px=config.halo_px,
        inputs=("he", "ihc"),
        outputs=(
            "synthetic_ihc",
            "logits",
            "attention",
            "channel_weights",
            "branch_share",
        ),
        classes=CLASSES,
        files={},
        licence="BSD-3-Clause",
        intended_use=INTENDED_USE,
        parameters={
            "network": config.network.to_dict(),
            "attention_scale": network.attention_scale,
        },
        training_command=training_command(config),
        seed=config.seed,
        scores=scorer.results,
    )
