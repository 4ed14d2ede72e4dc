"""The size and shape of the networks, as one frozen value.

Two sizes of one definition: ``REFERENCE`` has the widths of the published
framework, ``DEMO`` the same modules narrow enough for two CPU cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

SharedTrunk = Literal["resnet50", "narrow"]
Fusion = Literal["attention", "concat", "masked_mean"]
Missing = Literal["shared", "zero"]
EncoderStride = Literal[8, 16, 32]

_CHOICES = {
    "shared_trunk": get_args(SharedTrunk),
    "fusion": get_args(Fusion),
    "missing": get_args(Missing),
    "encoder_stride": get_args(EncoderStride),
}

_BEFORE_IT_COUNTED = {"encoder_stride": 32, "cell_patterns": 0, "head_hidden": 0}
"""What the cards of bundles before demo 2.1 leave out."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Architecture of generators, discriminators, classifier and selector.

    Parameters
    ----------
    generator_width, generator_blocks, generator_dropout
        Channels after the head (doubled at each of two stride-2 steps), number
        of residual blocks at stride 4, dropout inside them while training.
    multi_scale
        Parallel dilations, spatial attention and skips (CM-GAN); without it
        the generator is the plain ResNet generator of pix2pix.
    discriminator_width
        Channels of the first PatchGAN layer.
    shared_trunk, shared_widths
        Encoder common to both stains; the widths (stem and four stages) are
        those of the narrow trunk and not used by ``resnet50``.
    specific_width_mult
        Width multiplier of the two MobileNetV3-small specific encoders.
    feature_width
        Channels of every projected feature map.
    attention_width
        Bottleneck of the channel attention.
    head_dropout
        Dropout before the last layer while training.
    n_classes
        Number of logits.
    selector_width
        Factor on GoogLeNet's channels in the stain selector; 1.0 is GoogLeNet.
    fusion
        How two stains become one map: concatenation, 1x1 convolution and channel
        attention; the same without attention; or the mean of the stains that
        are there.
    missing
        What stands for an absent stain in the fused map: the shared features of
        the other one (ShaSpec), or zeros.
    encoder_stride
        Pixels per square of the encoders' maps; steps that would exceed it are
        not taken. The published networks have 32.
    cell_patterns
        Membrane patterns that the classifier counts in every square; what it
        counts joins what the head sees. 0, as published: it counts nothing.
    head_hidden
        Width of a hidden layer in the head: the guideline's lines follow each
        other, which one linear layer cannot express. 0, as published: none.
    """

    generator_width: int
    generator_blocks: int
    multi_scale: bool
    generator_dropout: float
    discriminator_width: int
    shared_trunk: SharedTrunk
    shared_widths: tuple[int, int, int, int, int]
    specific_width_mult: float
    feature_width: int
    attention_width: int
    head_dropout: float
    n_classes: int
    selector_width: float
    fusion: Fusion = "attention"
    missing: Missing = "shared"
    encoder_stride: EncoderStride = 32
    cell_patterns: int = 0
    head_hidden: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a bundle's card."""
        return {**asdict(self), "shared_widths": list(self.shared_widths)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a value has another type than
            in the demo configuration.
        """
        values = {**_BEFORE_IT_COUNTED, **values}
        names = {field.name for field in fields(cls)}
        if wrong := names.symmetric_difference(values):
            raise ValueError(f"missing or unknown: {', '.join(sorted(wrong))}")
        model = DEMO.to_dict()
        for name, value in values.items():
            expected = type(model[name])
            if type(value) is not expected and not (expected is float and value == 0):
                raise ValueError(f"{name} is not of type {expected.__name__}")
        for name, choices in _CHOICES.items():
            if values[name] not in choices:
                raise ValueError(
                    f"{name} {values[name]!r} is none of {', '.join(choices)}"
                )
        return cls(**{**values, "shared_widths": tuple(values["shared_widths"])})


REFERENCE = NetworkConfig(
    generator_width=64,
    generator_blocks=9,
    multi_scale=True,
    generator_dropout=0.5,
    discriminator_width=64,
    shared_trunk="resnet50",
    shared_widths=(64, 256, 512, 1024, 2048),
    specific_width_mult=1.0,
    feature_width=256,
    attention_width=125,
    head_dropout=0.2,
    n_classes=4,
    selector_width=1.0,
)

DEMO = NetworkConfig(
    generator_width=12,
    generator_blocks=2,
    multi_scale=True,
    generator_dropout=0.0,
    discriminator_width=16,
    shared_trunk="narrow",
    shared_widths=(16, 32, 64, 96, 160),
    specific_width_mult=0.5,
    feature_width=96,
    attention_width=48,
    head_dropout=0.2,
    n_classes=6,
    selector_width=0.125,
    encoder_stride=16,
    cell_patterns=5,
    head_hidden=64,
)
