from dataclasses import replace

import pytest
import torch
from torch import nn

from napari_her2.inference.backend_generator import (
    PlainTranslator,
    RearrangedTranslator,
    core_translator,
)
from napari_her2.models.config import DEMO
from napari_her2.models.generator import Generator
from napari_her2.models.network import to_uint8

HALO = 64


def generator_of(**changes):
    torch.manual_seed(2)
    generator = Generator(replace(DEMO, **{"generator_width": 4} | changes))
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return generator.requires_grad_(False).eval()


def differences(translator, generator, image):
    inside = slice(HALO, -HALO)
    expected = to_uint8(generator(image * 2 - 1)[..., inside, inside])
    return (translator(image).int() - expected.int()).abs()


@pytest.mark.parametrize("side", [192, 200])
@pytest.mark.parametrize("blocks", [1, 2])
def test_a_rearranged_generator_makes_the_same_core(side, blocks):
    generator = generator_of(generator_blocks=blocks)
    translator = core_translator(generator, HALO)
    assert isinstance(translator, RearrangedTranslator)
    found = differences(translator, generator, torch.rand(1, 3, side, side))
    assert found.shape == (1, 3, side - 2 * HALO, side - 2 * HALO)
    assert found.max() <= 1  # sums are rounded in another order
    assert found.float().mean() < 1e-3


@pytest.mark.parametrize("changes", [{"generator_width": 20}, {"multi_scale": False}])
def test_wide_and_plain_generators_run_as_they_are(changes):
    generator = generator_of(**changes)
    translator = core_translator(generator, HALO)
    assert isinstance(translator, PlainTranslator)
    assert differences(translator, generator, torch.rand(2, 3, 160, 160)).max() == 0


def test_what_lies_beyond_the_halo_never_reaches_the_core():
    """The same place from two tiles a step apart is the same to the last bit."""
    translator = core_translator(generator_of(), HALO)
    image = torch.rand(1, 3, 224, 224)
    whole, part = translator(image), translator(image[..., 32:, 32:])
    assert torch.equal(whole[..., 32:, 32:], part)


def test_half_the_precision_changes_little():
    generator = generator_of()
    translator = core_translator(generator, HALO).to(torch.bfloat16)
    found = differences(translator, generator, torch.rand(1, 3, 192, 192))
    assert found.float().mean() < 1
    assert found.max() <= 8
