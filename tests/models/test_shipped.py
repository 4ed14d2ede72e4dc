import pytest
import torch

from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.bundle import load_bundle, shipped_bundle
from napari_her2.models.card import NO_TUMOUR
from napari_her2.models.network import load_network


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(shipped_bundle("demo"))


def test_the_demo_bundle_is_small_and_says_what_it_is(bundle):
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    assert size <= 20_000_000
    assert bundle.card.classes == (NO_TUMOUR, *Score)
    assert "no real slide" in bundle.card.trained_on
    assert bundle.card.training_command.startswith("napari-her2 train")
    side = bundle.card.core_px + 2 * bundle.card.halo_px
    assert bundle.card.core_px**2 / side**2 >= 0.7


def test_its_scores_hold_together_and_beat_the_majority_with_real_ihc(bundle):
    for name, arm in bundle.card.scores["arms"].items():
        confusion = torch.tensor(arm["confusion_rows_truth"])
        assert confusion.sum() == arm["n_tiles"]
        accuracy = (confusion.trace() / confusion.sum()).item()
        assert accuracy == pytest.approx(arm["accuracy"], abs=1e-4)
        if Arm(name) in (Arm.BOTH, Arm.IHC, Arm.IHC_RECONSTRUCTED):
            assert arm["accuracy"] > 1.5 * arm["majority_baseline"]


@pytest.mark.slow
def test_it_tells_glass_from_brown_membranes(bundle):
    network = load_network(bundle)
    glass = torch.full((1, 3, network.tile_px, network.tile_px), 0.94)
    with torch.inference_mode():
        out = network(glass, glass)
        again = network(glass, glass)
    assert bundle.card.classes[out.logits.argmax().item()] == NO_TUMOUR
    assert torch.equal(out.synthetic_ihc, again.synthetic_ihc)
