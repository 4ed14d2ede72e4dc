import numpy as np
import pytest
import torch

from napari_her2.core.records import Arm, GateVerdict
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.gate_scores import gate_scores, unfamiliar_shares
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import (
    FAKE_ALONE,
    GATED,
    ScoredRegions,
    reconstruct,
    score_regions,
)
from napari_her2.models.network import Her2Network


class NearGate:
    """Takes a reconstruction that changes little; stands in for the bundle's."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def decide(self, embedding_observed, embedding_with, observed):
        change = (embedding_with - embedding_observed).abs().mean(1)
        return tuple(
            GateVerdict(bool(c <= self.limit), self.limit - float(c), 1, 1, 1, 1, "")
            for c in change
        )


class WhiteIsStrange:
    """How bright an image is, as a distance."""

    def distance(self, stain, image):
        return image.mean((1, 2, 3)) * 1.25


@pytest.fixture
def fakes(regions: Regions, arms: NetworkArms, tmp_path):
    stores = {}
    for stain in Stain:
        stores[stain] = ImageStore(tmp_path / stain.value, len(regions), 64)
        steps = list(reconstruct(regions, arms, stain, stores[stain]))
        assert len(steps) == len(regions)
    return stores


def test_every_arm_is_what_the_network_itself_says(regions, arms, fakes, network):
    scored = ScoredRegions()
    list(score_regions(regions, arms, fakes, scored))
    he, ihc = (
        torch.from_numpy(regions.tile(stain, 5)).permute(2, 0, 1)[None] / 255
        for stain in Stain
    )
    with torch.inference_mode():
        for arm, output in (
            (Arm.BOTH, network(he, ihc)),
            (Arm.HE_RECONSTRUCTED, network(he, None)),
            (Arm.IHC_RECONSTRUCTED, network(None, ihc)),
        ):
            assert output.arm == (arm,)
            assert scored.logits[arm][5] == pytest.approx(
                output.logits[0].numpy(), abs=1e-5
            )
        alone = network.classifier(network.core(he), None)
    assert scored.logits[Arm.HE][5] == pytest.approx(alone.logits[0].numpy(), abs=1e-5)
    # without a gate the reconstruction is always used
    assert np.array_equal(
        scored.logits[GATED[Stain.HE]], scored.logits[Arm.HE_RECONSTRUCTED]
    )
    assert list(scored.logits)[:5] == [arm.value for arm in _order()]
    assert FAKE_ALONE in scored.logits
    assert scored.gate == {}
    assert unfamiliar_shares(scored) is None


def _order():
    return (
        Arm.BOTH,
        Arm.HE_RECONSTRUCTED,
        Arm.IHC_RECONSTRUCTED,
        Arm.HE,
        Arm.IHC,
    )


def test_the_gate_chooses_region_by_region(regions, network: Her2Network, tmp_path):
    gated = Her2Network(
        network.config,
        core_px=64,
        halo_px=64,
        attention_scale=1.0,
        gate=NearGate(0.0),
        familiarity=WhiteIsStrange(),
    )
    gated.load_state_dict(network.state_dict())
    arms = NetworkArms(gated, torch.device("cpu"))
    fakes = {Stain.HE: ImageStore(tmp_path / "f", len(regions), 64)}
    list(reconstruct(regions, arms, Stain.HE, fakes[Stain.HE]))
    scored = ScoredRegions()
    list(score_regions(regions, arms, fakes, scored))
    assert not scored.gate["he"]["right"].any()
    assert np.array_equal(scored.logits[GATED[Stain.HE]], scored.logits[Arm.HE])
    found = gate_scores(scored, regions.labels, regions.slides, regions.partners())
    assert found["he"]["right_taken"][0] == 0
    assert found["he"]["foreign_refused"][0] == 1
    shares = unfamiliar_shares(scored)
    assert shares is not None
    bright = np.array(
        [regions.core(Stain.IHC, k).mean() / 255 * 1.25 for k in range(len(regions))]
    )
    assert scored.distance["ihc"] == pytest.approx(bright, abs=1e-4)
    assert shares["ihc"]["abstained"][0] == pytest.approx((bright > 1).mean(), abs=1e-4)

    path = tmp_path / "scored.npz"
    scored.save(path)
    again = ScoredRegions.load(path)
    assert again.logits.keys() == scored.logits.keys()
    assert np.array_equal(again.gate["he"]["wrong"], scored.gate["he"]["wrong"])
    assert np.array_equal(again.distance["he"], scored.distance["he"])
