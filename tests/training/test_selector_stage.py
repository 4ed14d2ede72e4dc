from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_her2.core.score import Stain
from napari_her2.models.selector import verify_stain
from napari_her2.stain.verdict import Agreement
from napari_her2.training.selector_stage import SelectorStage


class PinkAndBrown:
    """Two stains with the same structure, so that only colour tells them apart."""

    classes = ("a", "b")
    cells = None

    def __init__(self, n=6, side=128):
        rng = np.random.default_rng(0)
        amount = rng.uniform(0.3, 1.0, (n, side, side, 1))
        self.he = (255 - amount * [40, 150, 80]).astype(np.uint8)
        self.ihc = (255 - amount * [90, 130, 170]).astype(np.uint8)
        self.labels = np.zeros((n, 5), np.int8)
        self.slides = np.arange(n)

    def __len__(self):
        return len(self.he)


@pytest.mark.slow
def test_it_learns_to_tell_the_stains_apart(tiny_config):
    tiles = PinkAndBrown()
    config = replace(tiny_config, selector_steps=40)
    stage = SelectorStage(tiles, np.arange(4), config)
    for step in range(stage.n_steps):
        losses = stage.step(step, np.random.default_rng(step))
    assert losses["accuracy"] == 1
    selector = stage.selector.eval()
    for stain, images in ((Stain.HE, tiles.he), (Stain.IHC, tiles.ihc)):
        assert verify_stain(selector, images[5], stain).agreement is Agreement.MATCHES


def test_a_step_is_repeatable(tiny_config):
    def train():
        stage = SelectorStage(PinkAndBrown(), np.arange(4), tiny_config)
        for step in range(2):
            torch.manual_seed(step)
            losses = stage.step(step, np.random.default_rng(step))
        return losses

    assert train() == train()
