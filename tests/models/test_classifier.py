from dataclasses import replace

import pytest
import torch

from napari_her2.core.errors import UsageError
from napari_her2.models.attention import ChannelAttention
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO
from napari_her2.models.fusion import ResidualFusion, missing_feature
from napari_her2.models.head import DualPathHead, dual_path

TINY = replace(
    DEMO,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)


@pytest.fixture
def classifier() -> Her2Classifier:
    torch.manual_seed(2)
    return Her2Classifier(TINY).eval()


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.rand(2, 3, 96, 96), torch.rand(2, 3, 96, 96)


def test_attention_scales_a_constant_map_by_one_value_per_channel():
    attention = ChannelAttention(8, 3)
    features = torch.rand(2, 8, 1, 1).expand(2, 8, 5, 5)
    weights = attention(features)
    assert weights.shape == (2, 8)
    assert ((weights > 0) & (weights < 1)).all()


def test_attention_with_zero_weights_halves():
    attention = ChannelAttention(8, 3)
    torch.nn.init.zeros_(attention.up.weight)
    assert torch.equal(attention(torch.rand(1, 8, 4, 4)), torch.full((1, 8), 0.5))


def test_fusion_without_composition_is_the_shared_feature():
    fusion = ResidualFusion(8)
    torch.nn.init.zeros_(fusion.compose.weight)
    shared = torch.rand(1, 8, 3, 3)
    assert torch.equal(fusion(shared, torch.rand(1, 8, 3, 3)), shared)


def test_a_missing_feature_is_the_mean_of_those_present():
    first, second = torch.rand(1, 8, 3, 3), torch.rand(1, 8, 3, 3)
    assert torch.equal(missing_feature([first]), first)
    assert torch.allclose(missing_feature([first, second]), (first + second) / 2)


def test_the_head_sees_average_and_peaks():
    head = DualPathHead(4, 3, dropout=0.0)
    features = torch.zeros(1, 4, 6, 6)
    features[:, :, 2, 2] = 1
    with torch.no_grad():
        average = features.mean((2, 3))
        # the peak lies in 1 of 9 windows around (2, 2)
        peaks = torch.nn.functional.max_pool2d(features, 3, 2, 1).mean((2, 3))
        assert torch.equal(
            head(dual_path(features)), head.linear(torch.cat([average, peaks], 1))
        )


@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True)])
def test_every_arm_gives_logits_and_gradients(classifier, images, given):
    he, ihc = (x if there else None for x, there in zip(images, given, strict=True))
    result = classifier(he, ihc)
    assert result.logits.shape == (2, 6)
    assert len(result.shared) == sum(given)
    result.logits.sum().backward()
    assert classifier.fuse.weight.grad.isfinite().all()


def test_no_stain_at_all_is_refused(classifier):
    with pytest.raises(UsageError, match="No image"):
        classifier(None, None)


def test_swapping_stains_encoders_and_halves_changes_nothing(classifier, images):
    he, ihc = images
    with torch.no_grad():
        expected = classifier(he, ihc).logits
        for parts in (classifier.specific, classifier.project_specific):
            parts["he"], parts["ihc"] = parts["ihc"], parts["he"]
        first, second = classifier.fuse.weight.chunk(2, 1)
        classifier.fuse.weight.copy_(torch.cat([second, first], 1))
        swapped = classifier(ihc, he).logits
    assert torch.allclose(swapped, expected, atol=1e-6)


def test_the_order_of_stains_changes_nothing_in_the_shared_path(classifier, images):
    he, ihc = images
    with torch.no_grad():
        first = classifier(he, ihc).shared
        second = classifier(ihc, he).shared
    assert torch.allclose(first[0], second[1], atol=1e-6)
    assert torch.allclose(first[1], second[0], atol=1e-6)


def test_a_dropped_he_counts_as_missing(classifier, images):
    he, ihc = images
    with torch.no_grad():
        dropped = classifier(he, ihc, drop_he=torch.tensor([True, False])).logits
        alone = classifier(None, ihc).logits
        both = classifier(he, ihc).logits
    assert torch.allclose(dropped[0], alone[0], atol=1e-6)
    assert torch.allclose(dropped[1], both[1], atol=1e-6)


@pytest.mark.slow
def test_eight_pairs_are_learnt_by_heart():
    torch.manual_seed(0)
    classifier = Her2Classifier(replace(TINY, head_dropout=0.0)).train()
    he, ihc = torch.rand(8, 3, 64, 64), torch.rand(8, 3, 64, 64)
    labels = torch.arange(8) % 6
    adam = torch.optim.AdamW(classifier.parameters(), 5e-3)
    for _ in range(150):
        logits = classifier(he, ihc).logits
        loss = torch.nn.functional.cross_entropy(logits, labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        if (logits.argmax(1) == labels).all() and loss < 0.1:
            return
    raise AssertionError(f"loss still {loss.item():.3f} after 150 steps")
