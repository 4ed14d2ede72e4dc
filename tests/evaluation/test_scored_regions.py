import numpy as np
import pytest
import torch

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.gate_scores import gate_scores, unfamiliar_shares
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.scored_regions import (
    FAKE_ALONE,
    GATED,
    RegionScorer,
    ScoredRegions,
)
from napari_her2.evaluation.verdicts import Asked
from napari_her2.models.agreement import section_agreement
from napari_her2.models.gate import Gate, Reward
from napari_her2.models.network import Her2Network


class NearGate(Gate):
    """A gate whose reward is high where a reconstruction changes little."""

    def __init__(self, limit: float, min_agreement: float) -> None:
        super().__init__(
            torch.zeros(1),
            torch.zeros(1, 3),
            torch.zeros(3, 6, 3),
            torch.ones(3, 6),
            torch.zeros(3, 6),
            torch.full((2,), min_agreement),
        )
        self.limit = limit

    def reward(self, observed, beside, subset, subset_with):
        change = float((beside - observed).abs().mean())
        return Reward(self.limit - change, 1, 1, 1, 1)


class WhiteIsStrange:
    """How bright an image is, as a distance."""

    def distance(self, stain, image):
        return image.mean((1, 2, 3)) * 1.25


def fill(store, regions, arms, stain):
    for k in range(len(regions)):
        store[k] = arms.reconstruct(stain, regions.tile(stain, k))


def score_all(regions, arms, fakes):
    return ScoredRegions.of(
        map(RegionScorer(regions, arms, fakes), range(len(regions)))
    )


@pytest.fixture
def fakes(regions: Regions, arms: NetworkArms, tmp_path):
    stores = {}
    for stain in Stain:
        stores[stain] = ImageStore(tmp_path / stain.value, len(regions), 64)
        fill(stores[stain], regions, arms, stain)
    return stores


def test_every_arm_is_what_the_network_itself_says(regions, arms, fakes, network):
    scored = score_all(regions, arms, fakes)
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


def gated_arms(network: Her2Network, limit: float, min_agreement: float):
    gated = Her2Network(
        network.config,
        core_px=64,
        halo_px=64,
        attention_scale=1.0,
        familiarity=WhiteIsStrange(),
    )
    gated.load_state_dict(network.state_dict())
    gated.gate = NearGate(limit, min_agreement)
    return NetworkArms(gated, torch.device("cpu"))


def scored_he(regions, arms, folder):
    fakes = {Stain.HE: ImageStore(folder / "f", len(regions), 64)}
    fill(fakes[Stain.HE], regions, arms, Stain.HE)
    scored = score_all(regions, arms, fakes)
    return scored, fakes[Stain.HE]


def test_the_gate_chooses_region_by_region(regions, network: Her2Network, tmp_path):
    scored, _ = scored_he(regions, gated_arms(network, 0.0, -1.0), tmp_path)
    assert not scored.gate["he"]["product/right"].any()
    assert np.array_equal(scored.logits[GATED[Stain.HE]], scored.logits[Arm.HE])
    found = gate_scores(scored, regions.labels, regions.slides, regions.partners())
    for asked, taken in ((Asked.PRODUCT, 0), (Asked.REWARD, 0), (Asked.AGREEMENT, 1)):
        assert found["he"]["asked"][asked]["right_taken"][0] == taken
        assert found["he"]["asked"][asked]["foreign_refused"][0] == 1 - taken
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
    assert again.gate["he"].keys() == scored.gate["he"].keys()
    for name, values in scored.gate["he"].items():
        assert np.array_equal(again.gate["he"][name], values)
    assert np.array_equal(again.distance["he"], scored.distance["he"])


def test_the_agreement_test_looks_at_the_pixels(regions, network, tmp_path):
    """Every reward is above 0 here: what is refused, the pixels refuse."""
    blind, fakes = scored_he(regions, gated_arms(network, 9.0, -1.0), tmp_path)
    pixels = [
        float(section_agreement(*(_tensor(image) for image in (core, fakes[k]))))
        for k, core in enumerate(regions.core(Stain.HE, k) for k in range(len(regions)))
    ]
    assert blind.gate["he"]["agreement value/right"] == pytest.approx(pixels, abs=1e-6)
    limit = float(np.median(pixels))

    scored, _ = scored_he(regions, gated_arms(network, 9.0, limit), tmp_path)
    gate = scored.gate["he"]
    agrees = np.array(pixels) >= limit
    assert 0 < agrees.sum() < len(agrees)
    assert gate["reward/right"].all()
    assert np.array_equal(gate["agreement/right"], agrees)
    assert np.array_equal(gate["product/right"], agrees)
    for k, taken in enumerate(agrees):
        arm = Arm.HE_RECONSTRUCTED if taken else Arm.HE
        assert np.array_equal(scored.logits[GATED[Stain.HE]][k], scored.logits[arm][k])


def test_what_is_taken_is_what_the_product_takes(regions, network, tmp_path):
    arms = gated_arms(network, 0.05, 0.0)
    scored, _ = scored_he(regions, arms, tmp_path)
    for k in range(len(regions)):
        with torch.inference_mode():
            output = arms.network(_tensor(regions.tile(Stain.HE, k)), None)
        (verdict,) = output.gate
        assert verdict is not None
        assert scored.gate["he"]["product/right"][k] == verdict.accepted
        assert scored.gate["he"]["agreement value/right"][k] == pytest.approx(
            verdict.agreement, abs=1e-6
        )


def _tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255
