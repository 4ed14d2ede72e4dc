"""An absent stain is never read, and what stands for it is what was chosen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO
from napari_her2.models.fusion import masked_shares, missing_feature

TINY = replace(
    DEMO,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)
KINDS = [
    {"fusion": fusion, "missing": missing}
    for fusion in ("attention", "concat", "masked_mean")
    for missing in ("shared", "zero")
]


def _classifier(**kind):
    torch.manual_seed(2)
    return Her2Classifier(replace(TINY, **kind))


@pytest.fixture
def images():
    torch.manual_seed(3)
    return torch.rand(3, 3, 64, 64), torch.rand(3, 3, 64, 64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stain", list(Stain))
def test_nan_in_a_dropped_image_reaches_nothing(images, kind, training, stain):
    classifier = _classifier(**kind).train(training)
    drop = torch.tensor([True, False, False])
    place = list(Stain).index(stain)
    spoilt = list(images)
    spoilt[place] = spoilt[place].clone()
    spoilt[place][0] = torch.nan
    spoilt[place].requires_grad_(True)
    result = classifier(*spoilt, **{f"drop_{stain.value}": drop})
    result.logits.sum().backward()
    assert result.logits.isfinite().all()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    for name, buffer in classifier.named_buffers():
        assert buffer.isfinite().all(), name
    assert spoilt[place].grad[0].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_dropped_stain_counts_as_missing(images, kind):
    classifier = _classifier(**kind).eval()
    he, ihc = images
    drop_he = torch.tensor([True, False, False])
    drop_ihc = torch.tensor([False, True, False])
    with torch.no_grad():
        dropped = classifier(he, ihc, drop_he=drop_he, drop_ihc=drop_ihc)
        alone = [classifier(None, ihc), classifier(he, None), classifier(he, ihc)]
    for index, result in enumerate(alone):
        for name in ("logits", "fused", "embedding", "channel_weights"):
            value, expected = getattr(dropped, name), getattr(result, name)
            assert torch.allclose(value[index], expected[index], atol=1e-5), name


def test_a_batch_that_lacks_a_stain_in_every_sample_can_be_learnt(images):
    classifier = _classifier().train()
    everyone = torch.ones(3, dtype=torch.bool)
    spoilt = torch.full_like(images[0], torch.nan)
    logits = classifier(spoilt, images[1], drop_he=everyone).logits
    assert logits.isfinite().all()
    assert torch.allclose(logits, classifier(None, images[1]).logits, atol=0.5)


def test_a_sample_without_any_stain_is_refused(images):
    classifier = _classifier().eval()
    first = torch.tensor([True, False, False])
    with pytest.raises(UsageError, match="No image"):
        classifier(*images, drop_he=first, drop_ihc=first)
    with pytest.raises(UsageError, match="No image"):
        classifier(images[0], None, drop_he=first)


@pytest.mark.parametrize("fusion", ["attention", "concat"])
def test_zero_stands_for_what_is_missing(images, fusion):
    classifier = _classifier(fusion=fusion, missing="zero").eval()
    with torch.no_grad():
        alone = classifier(images[0], None)
        both = classifier(*images)
    assert alone.ihc_part.abs().max() == 0
    assert torch.allclose(alone.he_part, both.he_part, atol=1e-6)


def test_the_other_shared_feature_stands_for_what_is_missing(images):
    classifier = _classifier().eval()
    with torch.no_grad():
        features = classifier.encode(images[0], None)
        _, weight_ihc = classifier.fuse.weight.chunk(2, 1)
        expected = functional.conv2d(features[Stain.HE].shared, weight_ihc)
        part = classifier(images[0], None).ihc_part
    assert torch.allclose(part, expected, atol=1e-6)


def test_of_three_stains_the_missing_one_is_the_mean_of_the_others():
    first, second = torch.rand(2, 8, 3, 3), torch.rand(2, 8, 3, 3)
    mean = (first + second) / 2
    assert torch.allclose(missing_feature([first, second]), mean)
    assert torch.allclose(missing_feature([second, first]), mean)


def test_a_masked_mean_takes_what_is_there():
    first, second = torch.rand(3, 8, 2, 2), torch.rand(3, 8, 2, 2)
    there = [torch.tensor([True, True, False]), torch.tensor([True, False, True])]
    total = sum(masked_shares([first, second], there))
    assert torch.allclose(total[0], (first[0] + second[0]) / 2)
    assert torch.equal(total[1], first[1])
    assert torch.equal(total[2], second[2])


def test_encoders_run_once_for_two_arms(images):
    classifier = _classifier().eval()
    with torch.no_grad():
        features = classifier.encode(*images)
        both = classifier.combine(features)
        alone = classifier.combine({Stain.HE: features[Stain.HE]})
        assert torch.equal(both.logits, classifier(*images).logits)
        expected = classifier(images[0], None).logits
    assert torch.allclose(alone.logits, expected, atol=1e-6)


@pytest.mark.parametrize("fusion", ["concat", "masked_mean"])
def test_comparison_arms_have_no_attention(images, fusion):
    classifier = _classifier(fusion=fusion).eval()
    result = classifier(*images)
    assert torch.equal(result.channel_weights, torch.ones(3, 16))
    assert torch.equal(result.attended, result.fused)


@pytest.mark.slow
def test_without_the_stain_that_knows_the_call_is_chance():
    """The honesty test: only IHC carries the label; H&E alone must be at chance."""
    rng = np.random.default_rng(0)
    classifier = _classifier(missing="zero", n_classes=2, head_dropout=0.0).train()
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.3
    adam = torch.optim.AdamW(classifier.parameters(), 5e-3)

    def draw(count):
        labels = torch.from_numpy(rng.permutation(count) % 2)
        he, ihc = torch.from_numpy(rng.random((2, count, 3, 32, 32), np.float32))
        ihc = ihc * (0.4 + 0.6 * labels.view(-1, 1, 1, 1).float())
        return he, ihc, labels

    for _ in range(40):
        he, ihc, labels = draw(16)
        luck = torch.from_numpy(rng.random(16))
        result = classifier(he, ihc, drop_he=luck < 0.2, drop_ihc=luck > 0.8)
        loss = functional.cross_entropy(result.logits, labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
    classifier.eval()
    he, ihc, labels = draw(200)
    with torch.no_grad():
        accuracy = {
            name: (classifier(*given).logits.argmax(1) == labels).float().mean().item()
            for name, given in (
                ("both", (he, ihc)),
                ("ihc", (None, ihc)),
                ("he", (he, None)),
            )
        }
    assert accuracy["both"] > 0.95
    assert accuracy["ihc"] > 0.95
    # 200 samples: chance is 0.5 within three standard errors, on either side
    assert abs(accuracy["he"] - 0.5) < 0.107
