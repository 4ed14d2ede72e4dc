import math
from dataclasses import replace

import pytest
import torch

from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO
from napari_her2.training.losses import (
    class_weights,
    classifier_loss,
    domain_classification,
    gan_loss,
    kl_divergence,
    mmd,
    octave,
    pyramid_l1,
    shared_alignment,
)


def _impulse() -> torch.Tensor:
    image = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    image[..., 15, 15] = 1
    return image


def test_four_blurs_spread_an_impulse_as_published():
    blurred = octave(_impulse())[0, 0]
    assert blurred[15, 15].item() == pytest.approx(0.067383, abs=5e-7)
    assert blurred.sum().item() == pytest.approx(1)
    offsets = torch.arange(31, dtype=torch.float64) - 15
    variance = (blurred.sum(0) * offsets**2).sum().item()
    assert variance == pytest.approx(2.19255, abs=5e-6)


def test_a_constant_image_stays():
    image = torch.full((1, 3, 16, 16), 0.7, dtype=torch.float64)
    assert (octave(image) - image).abs().max() < 1e-15


def test_the_pyramid_ignores_the_phase_of_a_checkerboard():
    ys, xs = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = ((ys + xs) % 2).float()[None, None]
    assert pyramid_l1(board, 1 - board, (0,)).item() == 1
    assert pyramid_l1(board, 1 - board, (1,)).item() < 1e-6


@pytest.mark.parametrize(("scales", "expected"), [((0, 1), 5.0), ((0, 1, 2, 3), 10.0)])
def test_a_constant_offset_costs_2_5_per_scale(scales, expected):
    fake, real = torch.full((1, 3, 64, 64), 0.1), torch.zeros(1, 3, 64, 64)
    loss = 25 * pyramid_l1(fake, real, scales).item()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_an_undecided_discriminator_costs_ln_2():
    logits = torch.zeros(1, 1, 30, 30)
    loss = 0.5 * (gan_loss(logits, real=False) + gan_loss(logits, real=True))
    assert loss.item() == pytest.approx(math.log(2))


def test_alignment_of_equal_and_of_opposite_features():
    zeros, ones = torch.zeros(2, 8), torch.ones(2, 8)
    assert shared_alignment([ones, ones]).item() == 0
    assert shared_alignment([ones, zeros]).item() == 1
    assert shared_alignment([ones]).item() == 0
    # cyclic pairs: |1-0|, |0-0|, |0-1|
    assert shared_alignment([ones, zeros, zeros]).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("measure", ["l1", "mse", "kl", "mmd"])
def test_every_measure_is_zero_for_equal_features(measure):
    features = torch.randn(3, 8)
    assert shared_alignment([features, features], measure).item() == pytest.approx(
        0, abs=1e-6
    )
    assert shared_alignment([features, features + torch.randn(3, 8)], measure) > 0


def test_measures_have_the_published_values():
    even, uneven = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    assert kl_divergence(even, uneven).item() == pytest.approx(0.510826, abs=5e-7)
    assert shared_alignment([even, uneven], "kl").item() == pytest.approx(0.510826)
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    assert mmd(zero, one).item() == pytest.approx(0.786939, abs=5e-7)
    assert shared_alignment([zero, one], "mmd").item() == pytest.approx(0.786939)
    assert shared_alignment([zero, 3 * one], "mse").item() == 9


def test_the_kernel_is_the_published_one():
    kernel = octave(_impulse(), blurs=1)[0, 0, 14:17, 14:17]
    corner, edge, centre = kernel[0, 0], kernel[0, 1], kernel[1, 1]
    assert centre.item() == pytest.approx(0.2042, abs=5e-5)
    assert edge.item() == pytest.approx(0.1238, abs=5e-5)
    assert corner.item() == pytest.approx(0.0751, abs=5e-5)


def test_three_octaves_make_64_px_8():
    image = torch.rand(1, 3, 64, 64)
    for _ in range(3):
        image = octave(image)[..., ::2, ::2]
    assert image.shape == (1, 3, 8, 8)


def test_domain_loss_without_knowledge_is_ln_n():
    loss = domain_classification([torch.zeros(3, 2), torch.zeros(2, 2)])
    assert loss.item() == pytest.approx(math.log(2))


def test_the_total_has_the_published_weights():
    score = torch.nn.functional.cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    loss = classifier_loss(score, torch.tensor(1.0), torch.tensor(math.log(2)))
    assert loss.item() == pytest.approx(1.500157, abs=5e-7)


@pytest.mark.parametrize("measure", ["l1", "mse", "kl", "mmd"])
def test_alignment_and_domain_train_only_their_encoders(measure):
    config = replace(
        DEMO, shared_widths=(4, 4, 4, 4, 4), specific_width_mult=0.25, feature_width=8
    )
    classifier = Her2Classifier(config).eval()
    images = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)

    def touched(loss: torch.Tensor) -> set[str]:
        classifier.zero_grad()
        loss.backward()
        return {
            name.split(".")[0]
            for name, parameter in classifier.named_parameters()
            if parameter.grad is not None and parameter.grad.abs().max() > 0
        }

    result = classifier(*images)
    assert touched(shared_alignment(result.shared, measure)) == {
        "shared",
        "project_shared",
    }
    result = classifier(*images)
    logits = [classifier.domain(features) for features in result.specific]
    assert touched(domain_classification(logits)) == {
        "specific",
        "project_specific",
        "domain",
    }


def test_class_weights_follow_the_rarity_within_limits():
    labels = torch.tensor([0] * 1 + [1] * 49 + [2] * 50)
    weights = class_weights(labels, 3)
    assert weights[0] == 4  # 33.3 clipped
    assert weights[1].item() == pytest.approx(100 / (3 * 49))
