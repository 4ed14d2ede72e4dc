from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_her2.core.errors import BundleError, UsageError
from napari_her2.core.records import Arm, GateVerdict
from napari_her2.core.score import Stain
from napari_her2.models.bundle import write_bundle
from napari_her2.models.config import DEMO
from napari_her2.models.gate import Gate
from napari_her2.models.generator import receptive_field_px
from napari_her2.models.network import (
    Her2Network,
    evidence_sum,
    load_network,
    to_uint8,
)
from napari_her2.models.statistics import statistics_state

TINY = replace(
    DEMO,
    generator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)
FIELDS = ("logits", "attention", "channel_weights", "branch_share")


def _network(*, policy="gan", missing="shared", **changes):
    torch.manual_seed(1)
    config = replace(TINY, missing=missing)
    return Her2Network(
        config, core_px=64, halo_px=64, attention_scale=1.0, policy=policy, **changes
    )


def _states(network):
    return {part: module.state_dict() for part, module in network.parts().items()}


@pytest.fixture
def tiles(network):
    torch.manual_seed(4)
    shape = (2, 3, network.tile_px, network.tile_px)
    return torch.rand(shape), torch.rand(shape)


def test_a_tile_gives_what_the_engine_needs(network, tiles):
    out = network(*tiles)
    assert out.synthetic_ihc.shape == (2, 3, 64, 64)
    assert out.synthetic_ihc.dtype == torch.uint8
    assert out.logits.shape == (2, 6)
    assert out.attention.shape == (2, 4, 4)
    assert out.attention.min() >= 0
    assert out.attention.max() <= 1
    assert out.channel_weights.shape == (2, 16)
    assert ((out.branch_share > 0) & (out.branch_share < 1)).all()


def test_he_alone_is_scored_with_the_synthetic_ihc_as_shown(network, tiles):
    he, _ = tiles
    out = network(he, None)
    shown = out.synthetic_ihc.float() / 255
    core = he[..., 64:128, 64:128]
    assert torch.equal(out.logits, network.classifier(core, shown).logits)
    assert out.arm == (Arm.HE_RECONSTRUCTED,) * 2
    assert out.synthetic_he is None


def test_ihc_alone_is_scored_with_the_synthetic_he_as_shown(network, tiles):
    _, ihc = tiles
    out = network(None, ihc)
    shown = out.synthetic_he.float() / 255
    core = ihc[..., 64:128, 64:128]
    assert torch.equal(out.logits, network.classifier(shown, core).logits)
    assert out.arm == (Arm.IHC_RECONSTRUCTED,) * 2
    assert out.synthetic_ihc is None


def test_without_its_generator_ihc_stands_alone(tiles):
    network = _network(ihc_to_he=False)
    out = network(None, tiles[1])
    assert out.arm == (Arm.IHC,) * 2
    assert out.synthetic_he is None
    assert torch.equal(out.branch_share, torch.zeros(2))
    assert out.logits.isfinite().all()


@pytest.mark.parametrize("missing", ["shared", "zero"])
def test_other_policies_score_what_is_there(tiles, missing):
    he, ihc = tiles
    network = _network(missing=missing, policy=missing)
    out = network(he, None)
    core = he[..., 64:128, 64:128]
    assert torch.equal(out.logits, network.classifier(core, None).logits)
    assert out.arm == (Arm.HE,) * 2
    assert out.synthetic_ihc is not None
    assert network(None, ihc).arm == (Arm.IHC,) * 2
    assert network(he, ihc).arm == (Arm.BOTH,) * 2


def test_a_policy_that_does_not_fit_the_classifier_is_refused():
    with pytest.raises(ValueError, match="zero"):
        _network(policy="zero")
    with pytest.raises(ValueError, match="guess"):
        _network(policy="guess")


class AlternatingGate:
    """Accepts every other tile and keeps what it was shown."""

    def decide(
        self, embedding_observed, embedding_with, observed, real, reconstruction
    ):
        self.seen = embedding_observed, embedding_with, observed
        self.images = real, reconstruction
        return tuple(
            GateVerdict(k % 2 == 0, 0.0, 0.0, 0.0, 0.0, 0.0, "alternating")
            for k in range(len(embedding_observed))
        )


@pytest.mark.parametrize("given", [Stain.HE, Stain.IHC])
def test_the_gate_decides_tile_by_tile(network, tiles, given):
    he, ihc = (x if s is given else None for s, x in zip(Stain, tiles, strict=True))
    network.gate = None
    beside = network(he, ihc)
    network.gate = AlternatingGate()
    out = network(he, ihc)
    pair = [None if x is None else x[..., 64:128, 64:128] for x in (he, ihc)]
    alone = network.classifier(*pair)
    assert torch.allclose(out.logits[0], beside.logits[0])
    assert torch.allclose(out.logits[1], alone.logits[1], atol=1e-6)
    assert torch.allclose(out.channel_weights[1], alone.channel_weights[1], atol=1e-6)
    names = {
        Stain.HE: (Arm.HE_RECONSTRUCTED, Arm.HE),
        Stain.IHC: (Arm.IHC_RECONSTRUCTED, Arm.IHC),
    }
    assert out.arm == names[given]
    assert [verdict.accepted for verdict in out.gate] == [True, False]
    observed, _with, stain = network.gate.seen
    assert torch.allclose(observed, alone.embedding, atol=1e-6)
    assert stain is given
    real, reconstruction = network.gate.images
    assert torch.equal(real, next(x for x in pair if x is not None))
    fake = out.synthetic_ihc if given is Stain.HE else out.synthetic_he
    assert torch.equal(reconstruction, fake.float() / 255)


def test_there_is_nothing_to_decide_when_both_stains_are_there(network, tiles):
    expected = network(*tiles)
    network.gate = AlternatingGate()
    out = network(*tiles)
    assert out.gate == (None, None)
    assert out.arm == (Arm.BOTH, Arm.BOTH)
    assert torch.equal(out.logits, expected.logits)
    assert not hasattr(network.gate, "seen")


class BrightnessFamiliarity:
    """The brighter the stranger; cannot tell of images that are all black."""

    def distance(self, stain, image):
        mean = image.mean((1, 2, 3))
        return torch.where(mean == 0, torch.nan, mean * 10)


def test_the_distance_is_that_of_the_more_unfamiliar_stain(network, tiles):
    he, ihc = tiles
    assert network(he, ihc).distance.isnan().all()
    network.familiarity = BrightnessFamiliarity()
    assert torch.allclose(network(he * 0.5, ihc).distance, network(None, ihc).distance)
    dark = network(he * 0, ihc).distance
    assert torch.allclose(dark, network(None, ihc).distance)
    assert network(he * 0, None).distance.isnan().all()


def test_the_real_ihc_is_scored_when_both_are_there(network, tiles):
    he, ihc = tiles
    assert not torch.allclose(network(he, ihc).logits, network(he, None).logits)


def test_no_tile_or_one_of_another_size_is_refused(network, tiles):
    with pytest.raises(UsageError):
        network(None, None)
    with pytest.raises(UsageError, match="3 x 192 x 192"):
        network(None, tiles[1][..., :100])


def test_what_lies_outside_the_core_never_reaches_the_classifier(tiles):
    network = _network(ihc_to_he=False)
    _, ihc = tiles
    spoilt = torch.full_like(ihc, torch.nan)
    spoilt[..., 64:128, 64:128] = ihc[..., 64:128, 64:128]
    assert torch.equal(network(None, spoilt).logits, network(None, ihc).logits)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["he_to_ihc", "ihc_to_he"])
def test_the_core_does_not_depend_on_what_lies_beyond_the_halo(direction):
    """The same place computed from two tiles a step apart is bit-identical."""
    torch.manual_seed(5)
    network = Her2Network(DEMO, core_px=128, halo_px=64, attention_scale=1.0)
    image = torch.rand(1, 3, 320, 320)
    generator = network.generators[direction]
    whole = generator(image * 2 - 1)
    part = generator(image[..., 64:, 64:] * 2 - 1)
    inside = to_uint8(whole)[..., 128:-64, 128:-64]
    assert torch.equal(to_uint8(part)[..., 64:-64, 64:-64], inside)
    spoilt = torch.rand_like(image)
    spoilt[..., 64:-64, 64:-64] = image[..., 64:-64, 64:-64]
    again = generator(spoilt * 2 - 1)
    assert torch.equal(again[..., 128:-128, 128:-128], whole[..., 128:-128, 128:-128])


@pytest.mark.parametrize("direction", ["he_to_ihc", "ihc_to_he"])
def test_one_pixel_beyond_the_field_changes_nothing(network, direction):
    """Pixels outside the declared field are perturbed; those inside it do count."""
    field = receptive_field_px(network.config)
    image = torch.rand(1, 3, network.tile_px, network.tile_px)
    generator = network.generators[direction]
    expected = generator(image * 2 - 1)[..., 96, 96]
    outside = torch.rand_like(image)
    rows = slice(96 - field, 96 + field + 1)
    outside[..., rows, rows] = image[..., rows, rows]
    assert torch.equal(generator(outside * 2 - 1)[..., 96, 96], expected)
    image[..., rows, rows] = 0
    assert not torch.equal(generator(image * 2 - 1)[..., 96, 96], expected)


def test_a_batch_gives_what_each_tile_gives_alone(network, tiles):
    he, ihc = tiles
    both = network(he, ihc)
    for index in range(2):
        alone = network(he[index : index + 1], ihc[index : index + 1])
        for name in FIELDS:
            value = getattr(both, name)[index : index + 1]
            assert torch.allclose(value, getattr(alone, name), atol=1e-5), name
        difference = both.synthetic_ihc[index].int() - alone.synthetic_ihc[0].int()
        assert difference.abs().max() <= 1


def test_the_same_tile_twice_is_bit_identical(network, tiles):
    he, ihc = tiles[0][:1], tiles[1][:1]
    first, second = network(he, ihc), network(he, ihc)
    for name in ("synthetic_ihc", *FIELDS):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_the_network_never_trains(network):
    assert not network.train().training
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_branch_share_follows_the_fusion_weights(network, tiles):
    half = network.config.feature_width
    with torch.no_grad():
        network.classifier.fuse.weight[:, half:] = 0
    assert torch.equal(network(*tiles).branch_share, torch.ones(2))


def test_the_evidence_comes_from_the_strongest_channels(network, tiles):
    core = tiles[0][..., 64:128, 64:128]
    for layer in (network.classifier.attention.down, network.classifier.attention.up):
        layer.weight.normal_(0, 5)  # so that no two channels weigh the same
    result = network.classifier(core, core)
    order = result.channel_weights[0].argsort(descending=True)[:8]
    expected = result.attended[0, order].clamp(min=0).sum(0)
    assert torch.allclose(evidence_sum(result)[0], expected)


@pytest.mark.parametrize(("core", "halo"), [(64, 56), (60, 64), (64, 62)])
def test_a_geometry_that_breaks_tile_independence_is_refused(core, halo):
    with pytest.raises(ValueError, match="halo"):
        Her2Network(DEMO, core_px=core, halo_px=halo, attention_scale=1.0)


def test_grey_values_cover_the_range():
    image = torch.tensor([-1.0, 0.0, 1.0])
    assert to_uint8(image).tolist() == [0, 128, 255]


def test_a_bundle_gives_the_network_back(bundle, network, tiles):
    loaded = load_network(bundle)
    assert torch.equal(loaded(*tiles).logits, network(*tiles).logits)


def test_weights_of_another_shape_are_refused(tmp_path, card, network):
    state = network.classifier.state_dict()
    state["head.linear.bias"] = torch.zeros(5)
    parts = {**_states(network), "classifier": state}
    with pytest.raises(BundleError, match=r"head\.linear\.bias"):
        load_network(write_bundle(tmp_path / "wrong", card, parts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("0", "1+")}, "2 class names"),
        ({"halo_px": 32}, "narrower"),
        ({"parameters": {"attention_scale": 1.0}}, "network"),
        ({"parameters": {"network": {}, "attention_scale": 1.0}}, "missing"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, card, network, change, message):
    wrong = write_bundle(tmp_path / "wrong", replace(card, **change), _states(network))
    with pytest.raises(BundleError, match=message):
        load_network(wrong)


def _gate(width):
    unit = torch.nn.functional.normalize(torch.ones(3, 6, 2), dim=2)
    return Gate(
        centre=torch.zeros(width),
        projection=torch.ones(width, 2),
        prototypes=unit,
        spreads=torch.ones(3, 6),
        counts=torch.full((3, 6), 50.0),
        min_agreement=torch.tensor([-1.0, -1.0]),
    )


def test_gate_statistics_come_with_the_bundle(tmp_path, card, network, tiles):
    gate = _gate(network.classifier.head.n_inputs)
    states = {**_states(network), "statistics": statistics_state(gate, None)}
    loaded = load_network(write_bundle(tmp_path / "gated", card, states))
    assert loaded.familiarity is None
    expected = gate.state()
    assert all(torch.equal(expected[k], t) for k, t in loaded.gate.state().items())
    verdicts = loaded(tiles[0], None).gate
    assert all(isinstance(verdict, GateVerdict) for verdict in verdicts)
    assert loaded(*tiles).gate == (None, None)


def test_a_gate_of_another_network_is_refused(tmp_path, card, network):
    gate = _gate(network.classifier.head.n_inputs - 1)
    states = {**_states(network), "statistics": statistics_state(gate, None)}
    with pytest.raises(BundleError, match="gate was fitted on 36 features"):
        load_network(write_bundle(tmp_path / "other", card, states))


def test_statistics_that_do_not_fit_are_refused(tmp_path, card, network):
    state = statistics_state(_gate(8), None)
    state["gate.spreads"] = torch.ones(2, 2)
    states = {**_states(network), "statistics": state}
    with pytest.raises(BundleError, match="statistics do not fit"):
        load_network(write_bundle(tmp_path / "wrong", card, states))
    states["statistics"] = {"familiarity.mean": torch.ones(1)}
    with pytest.raises(BundleError, match="statistics do not fit"):
        load_network(write_bundle(tmp_path / "less", card, states))


@pytest.mark.parametrize("part", ["he_to_ihc", "classifier"])
def test_a_bundle_without_a_part_is_refused(tmp_path, card, network, part):
    parts = _states(network)
    del parts[part]
    wrong = write_bundle(tmp_path / "wrong", card, parts)
    with pytest.raises(BundleError, match=f"no weights for the {part}"):
        load_network(wrong)


def test_optional_parts_may_be_missing_or_there(tmp_path, card):
    lean = _network(ihc_to_he=False)
    loaded = load_network(write_bundle(tmp_path / "lean", card, _states(lean)))
    assert set(loaded.generators) == {"he_to_ihc"}
    assert loaded.selector is None
    full = _network(selector=True)
    loaded = load_network(write_bundle(tmp_path / "full", card, _states(full)))
    assert set(loaded.generators) == {"he_to_ihc", "ihc_to_he"}
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(loaded.selector(images), full.selector(images))


def test_images_of_a_stain_are_not_read_when_absent(tiles):
    """Only what is given can reach the output: weights of the other are never run."""
    network = _network(ihc_to_he=False)
    for module in (network.classifier.specific["he"], network.generators["he_to_ihc"]):
        for parameter in module.parameters():
            parameter.fill_(torch.nan)
    assert np.isfinite(network(None, tiles[1]).logits.numpy()).all()
