"""Encoders of one image to a map of squares: the shared and a specific one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_her2.models.config import NetworkConfig
from napari_her2.models.torchvision_ops import torchvision

_mobilenetv3 = torchvision.models.mobilenetv3
_resnet = torchvision.models.resnet

DEEPEST_STRIDE = 32

# MobileNetV3-small, table 2 of arXiv 1905.02244: input, kernel, expanded,
# output channels, squeeze-and-excitation, activation, stride
_MOBILENET_V3_SMALL = (
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1),
    (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2),
    (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
)


def shared_encoder(config: NetworkConfig) -> tuple[nn.Module, int]:
    """Return the residual encoder for both stains and its output channels."""
    if config.shared_trunk == "resnet50":
        network = _resnet.resnet50()
        parts = list(network.children())[:-2]  # without pooling and classifier
        _hold(parts[-4:], config.encoder_stride)
        return nn.Sequential(*parts), network.fc.in_features
    trunk = NarrowTrunk(config.shared_widths)
    _hold(trunk.stages, config.encoder_stride)
    return trunk, config.shared_widths[-1]


def specific_encoder(config: NetworkConfig) -> tuple[nn.Module, int]:
    """Return a MobileNetV3-small encoder for one stain and its output channels."""
    rows, reached = [], 2
    for *row, step in _MOBILENET_V3_SMALL:
        taken = step if reached * step <= config.encoder_stride else 1
        reached *= taken
        rows.append(
            _mobilenetv3.InvertedResidualConfig(
                *row, stride=taken, dilation=1, width_mult=config.specific_width_mult
            )
        )
    features = _mobilenetv3.MobileNetV3(rows, last_channel=8, num_classes=1).features
    return _Exact(*features), 6 * rows[-1].out_channels


def _hold(stages: Iterable[nn.Module], stride: int) -> None:
    """Let residual stages, the first at stride 4, step no further than ``stride``."""
    for number, stage in enumerate(stages):
        if 4 * 2**number > stride:
            for module in stage.modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)


class _Exact(nn.Sequential):
    """Layers kept in float32 on a CPU, where depthwise bfloat16 is slower."""

    def forward(self, image: Tensor) -> Tensor:
        if image.device.type != "cpu":
            features: Tensor = super().forward(image)
            return features
        with torch.autocast("cpu", enabled=False):
            features = super().forward(image.float())
        return features


class NarrowTrunk(nn.Module):
    """A stem at stride 2 and four residual stages of stride 2.

    Parameters
    ----------
    widths
        Channels of the stem and of the four stages.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(
            *(
                _resnet.BasicBlock(
                    inputs,
                    outputs,
                    stride=2,
                    downsample=nn.Sequential(
                        nn.Conv2d(inputs, outputs, 1, stride=2, bias=False),
                        nn.BatchNorm2d(outputs),
                    ),
                )
                for inputs, outputs in pairwise(widths)
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the last stage's map."""
        features: Tensor = self.stages(self.stem(image))
        return features
