from dataclasses import replace

import pytest
import torch

from napari_her2.models.attention import SpatialAttention
from napari_her2.models.config import DEMO, REFERENCE
from napari_her2.models.discriminator import PatchDiscriminator
from napari_her2.models.generator import (
    Generator,
    init_gan_weights,
    receptive_field_px,
)


@pytest.fixture
def tiny():
    return replace(DEMO, generator_width=2)


def test_the_plain_reference_sees_what_the_publication_says():
    assert receptive_field_px(replace(REFERENCE, multi_scale=False)) == 84


@pytest.mark.parametrize("multi_scale", [True, False])
def test_the_receptive_field_is_exact(tiny, multi_scale):
    """Gradients reach as far as said for some pixel, and never farther."""
    config = replace(tiny, multi_scale=multi_scale)
    generator = Generator(config).double().eval()
    field = receptive_field_px(config)
    side, middle = 2 * field + 12, field + 4
    middle -= middle % 4
    reached = []
    for offset in range(4):
        image = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
        pixel = middle + offset
        generator(image)[0, :, pixel, pixel].sum().backward()
        rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        reached.append(max(pixel - rows.min().item(), rows.max().item() - pixel))
    assert max(reached) == field


@pytest.mark.parametrize("offset", [2, 4])
def test_tiles_agree_only_on_the_stride_4_lattice(tiny, offset):
    config = replace(tiny, multi_scale=False)
    torch.manual_seed(6)
    generator = Generator(config).eval()
    image = torch.rand(1, 3, 200, 200) * 2 - 1
    with torch.no_grad():
        whole = generator(image)
        there = slice(offset, offset + 192)
        part = generator(image[..., there, there])
    seen, same = slice(88, 104), slice(88 + offset, 104 + offset)
    inside = part[..., seen, seen], whole[..., same, same]
    # the sum's order may change with the size of the image, the value may not
    assert torch.allclose(*inside, rtol=0, atol=1e-5) == (offset == 4)


@pytest.mark.parametrize("side", [64, 100, 256, 1024])
@torch.no_grad()
def test_an_image_keeps_its_size_and_range(tiny, side):
    image = torch.rand(1, 3, side, side) * 2 - 1
    translated = Generator(tiny).eval()(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1


def test_spatial_attention_has_98_weights():
    assert sum(p.numel() for p in SpatialAttention().parameters()) == 98


def test_the_discriminator_judges_30_by_30_patches():
    image = torch.zeros(1, 3, 256, 256)
    config = replace(DEMO, discriminator_width=4)
    assert PatchDiscriminator(config)(image, image).shape == (1, 1, 30, 30)


def test_gan_weights_start_small(tiny):
    generator = Generator(tiny).apply(init_gan_weights)
    assert generator.head[1].weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert generator.tail[1].bias.abs().max() == 0
