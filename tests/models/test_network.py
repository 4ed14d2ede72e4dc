from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_her2.core.errors import BundleError, UsageError
from napari_her2.models.bundle import write_bundle
from napari_her2.models.config import DEMO
from napari_her2.models.network import (
    Her2Network,
    evidence_sum,
    load_network,
    to_uint8,
)

FIELDS = ("logits", "attention", "channel_weights", "branch_share")


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
    assert out.attention.shape == (2, 2, 2)
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


def test_ihc_alone_has_no_he_share_and_no_synthetic_image(network, tiles):
    out = network(None, tiles[1])
    assert out.synthetic_ihc is None
    assert torch.equal(out.branch_share, torch.zeros(2))
    assert out.logits.isfinite().all()


def test_the_real_ihc_is_scored_when_both_are_there(network, tiles):
    he, ihc = tiles
    assert not torch.allclose(network(he, ihc).logits, network(he, None).logits)


def test_no_tile_or_one_of_another_size_is_refused(network, tiles):
    with pytest.raises(UsageError):
        network(None, None)
    with pytest.raises(UsageError, match="3 x 192 x 192"):
        network(None, tiles[1][..., :100])


def test_what_lies_outside_the_core_never_reaches_the_classifier(network, tiles):
    _, ihc = tiles
    spoilt = torch.full_like(ihc, torch.nan)
    spoilt[..., 64:128, 64:128] = ihc[..., 64:128, 64:128]
    assert torch.equal(network(None, spoilt).logits, network(None, ihc).logits)


@pytest.mark.slow
def test_the_core_does_not_depend_on_what_lies_beyond_the_halo():
    """The same place computed from two tiles a step apart is bit-identical."""
    torch.manual_seed(5)
    network = Her2Network(DEMO, core_px=128, halo_px=64, attention_scale=1.0)
    image = torch.rand(1, 3, 320, 320)
    whole = network.generator(image * 2 - 1)
    part = network.generator(image[..., 64:, 64:] * 2 - 1)
    inside = to_uint8(whole)[..., 128:-64, 128:-64]
    assert torch.equal(to_uint8(part)[..., 64:-64, 64:-64], inside)
    spoilt = torch.rand_like(image)
    spoilt[..., 64:-64, 64:-64] = image[..., 64:-64, 64:-64]
    again = network.generator(spoilt * 2 - 1)
    assert torch.equal(again[..., 128:-128, 128:-128], whole[..., 128:-128, 128:-128])


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
    parts = {"generator": network.generator.state_dict(), "classifier": state}
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
    parts = {
        "generator": network.generator.state_dict(),
        "classifier": network.classifier.state_dict(),
    }
    wrong = write_bundle(tmp_path / "wrong", replace(card, **change), parts)
    with pytest.raises(BundleError, match=message):
        load_network(wrong)


def test_a_bundle_without_a_part_is_refused(tmp_path, card, network):
    parts = {"classifier": network.classifier.state_dict()}
    wrong = write_bundle(tmp_path / "wrong", card, parts)
    with pytest.raises(BundleError, match="no weights for the generator"):
        load_network(wrong)


def test_images_of_a_stain_are_not_read_when_absent(network, tiles):
    """Only what is given can reach the output: weights of the other are never run."""
    for parameter in network.classifier.specific["he"].parameters():
        parameter.fill_(torch.nan)
    for parameter in network.generator.parameters():
        parameter.fill_(torch.nan)
    assert np.isfinite(network(None, tiles[1]).logits.numpy()).all()
