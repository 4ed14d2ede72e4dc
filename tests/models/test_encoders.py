from dataclasses import replace

import pytest
import torch

from napari_her2.models.config import DEMO, REFERENCE
from napari_her2.models.encoders import shared_encoder, specific_encoder
from napari_her2.models.torchvision_ops import torchvision


@pytest.mark.parametrize("config", [REFERENCE, DEMO], ids=["reference", "demo"])
@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("side", [224, 256, 512, 1024])
def test_both_encoders_have_the_stride_asked_for(config, stride, side):
    """Shapes only: on the meta device nothing is computed."""
    config = replace(config, encoder_stride=stride)
    with torch.device("meta"):
        image = torch.empty(1, 3, side, side)
        for make in (shared_encoder, specific_encoder):
            encoder, channels = make(config)
            shape = encoder.eval()(image).shape
            assert shape == (1, channels, side // stride, side // stride)


def test_the_published_networks_have_stride_32():
    assert REFERENCE.encoder_stride == 32


@pytest.mark.parametrize("config", [REFERENCE, DEMO], ids=["reference", "demo"])
@pytest.mark.parametrize("make", [shared_encoder, specific_encoder])
def test_the_stride_changes_no_weight(config, make):
    with torch.device("meta"):
        shapes = [
            {
                name: weight.shape
                for name, weight in make(replace(config, encoder_stride=stride))[0]
                .state_dict()
                .items()
            }
            for stride in (16, 32)
        ]
    assert shapes[0] == shapes[1]


def test_the_reference_encoders_have_the_published_channels():
    assert shared_encoder(REFERENCE)[1] == 2048
    assert specific_encoder(REFERENCE)[1] == 576


def test_the_large_specific_encoder_would_have_the_published_size():
    large = torchvision.models.mobilenet_v3_large().features
    assert sum(parameter.numel() for parameter in large.parameters()) == 2_971_952
