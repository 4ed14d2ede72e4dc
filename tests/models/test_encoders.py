import pytest
import torch

from napari_her2.models.config import DEMO, REFERENCE
from napari_her2.models.encoders import shared_encoder, specific_encoder
from napari_her2.models.torchvision_ops import torchvision


@pytest.mark.parametrize("config", [REFERENCE, DEMO], ids=["reference", "demo"])
@pytest.mark.parametrize(
    ("side", "map_side"), [(224, 7), (256, 8), (512, 16), (1024, 32)]
)
def test_both_encoders_have_stride_32(config, side, map_side):
    """Shapes only: on the meta device nothing is computed."""
    with torch.device("meta"):
        image = torch.empty(1, 3, side, side)
        for make in (shared_encoder, specific_encoder):
            encoder, channels = make(config)
            shape = encoder.eval()(image).shape
            assert shape == (1, channels, map_side, map_side)


def test_the_reference_encoders_have_the_published_channels():
    assert shared_encoder(REFERENCE)[1] == 2048
    assert specific_encoder(REFERENCE)[1] == 576


def test_the_large_specific_encoder_would_have_the_published_size():
    large = torchvision.models.mobilenet_v3_large().features
    assert sum(parameter.numel() for parameter in large.parameters()) == 2_971_952
