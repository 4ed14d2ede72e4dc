"""The test for leakage on networks that were really trained.

On slides whose H&E says nothing about HER2 (morphology signal 0), the classifier
learns to score from the IHC, and on slides it has not seen H&E must be worth
nothing: neither alone nor with an IHC reconstructed from it.
"""

import numpy as np
import pytest
import torch

from napari_her2.core.records import Arm
from napari_her2.evaluation.honesty import ChanceTest, chance_test
from napari_her2.evaluation.probabilities import share_classes
from napari_her2.models.bundle import load_bundle, shipped_bundle
from napari_her2.models.config import DEMO
from napari_her2.models.network import HE_TO_IHC, load_network, to_uint8
from napari_her2.training.augment import to_tensor
from napari_her2.training.classifier_stage import ClassifierStage
from napari_her2.training.config import TrainingConfig
from napari_her2.training.tiles import CLASSES, TileCache
from napari_her2.training.virtual import VirtualTiles

LEARNED, UNSEEN = 36, 48
STEPS = 200
HALO_PX = 64
CONFIG = TrainingConfig(
    core_px=384,
    halo_px=HALO_PX,
    classifier_crop_px=128,
    classifier_steps=STEPS,
    classifier_rate=3e-3,
    frozen_statistics_share=0.3,
    jitter_um=2.0,
    mixed_precision=False,
    network=DEMO,
)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[Arm, ChanceTest]:
    """Train on some slides, and ask about others in every arm."""
    source = VirtualTiles(
        990_000_000,
        LEARNED + UNSEEN,
        tiles_per_slide=1,
        core_px=CONFIG.core_px,
        halo_px=HALO_PX,
        mpp=CONFIG.mpp,
        morphology_signal=0.0,
        exact_alignment=True,
        tumour=True,
    )
    tiles = TileCache(tmp_path_factory.mktemp("signal-0"), source)
    list(tiles.fill(2))
    shipped = load_network(load_bundle(shipped_bundle()))
    generators = dict(shipped.generators.items())
    stage = ClassifierStage(tiles, np.arange(LEARNED), generators, CONFIG)
    for step in range(STEPS):
        stage.step(step, np.random.default_rng(step))
    stage.classifier.eval()
    unseen = np.arange(LEARNED, LEARNED + UNSEEN)
    logits = {arm: [] for arm in (Arm.BOTH, Arm.IHC, Arm.HE, Arm.HE_RECONSTRUCTED)}
    for index in unseen:
        he, ihc = (to_tensor([images[index]]) for images in (tiles.he, tiles.ihc))
        for arm, given in _given(generators[HE_TO_IHC], he, ihc).items():
            with torch.inference_mode():
                logits[arm].append(stage.classifier(*given).logits[0])
    truth = np.asarray(tiles.labels)[unseen, 0].astype(int)
    slides = np.asarray(tiles.slides)[unseen]
    classes = share_classes(CLASSES, CLASSES)
    return {
        arm: chance_test(torch.stack(each).softmax(1).numpy(), truth, slides, classes)
        for arm, each in logits.items()
    }


def _given(generator, he, ihc):
    with torch.inference_mode():
        fake = to_uint8(generator(he * 2 - 1)).float() / 255
    he, ihc, fake = (
        image[..., HALO_PX:-HALO_PX, HALO_PX:-HALO_PX] for image in (he, ihc, fake)
    )
    return {
        Arm.BOTH: (he, ihc),
        Arm.IHC: (None, ihc),
        Arm.HE: (he, None),
        Arm.HE_RECONSTRUCTED: (he, fake),
    }


@pytest.mark.slow
@pytest.mark.parametrize("arm", [Arm.HE, Arm.HE_RECONSTRUCTED])
def test_he_that_says_nothing_is_worth_nothing(verdicts, arm):
    assert verdicts[arm].n_slides > 30
    assert not verdicts[arm].leaks


@pytest.mark.slow
@pytest.mark.parametrize("arm", [Arm.BOTH, Arm.IHC])
def test_the_same_network_has_learned_to_score_ihc(verdicts, arm):
    """What is found above is no sign of a network that has learned nothing."""
    assert verdicts[arm].leaks
    assert verdicts[arm].above_chance.value > 0.1
