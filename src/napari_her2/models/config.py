"""The size and shape of the networks, as one frozen value.

Two sizes of one definition: ``REFERENCE`` has the widths of the published
framework, ``DEMO`` the same modules narrow enough for two CPU cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

SharedTrunk = Literal["resnet50", "narrow"]


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Architecture of the generator, its discriminator and the classifier.

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
        names = {field.name for field in fields(cls)}
        if wrong := names.symmetric_difference(values):
            raise ValueError(f"missing or unknown: {', '.join(sorted(wrong))}")
        model = DEMO.to_dict()
        for name, value in values.items():
            expected = type(model[name])
            if type(value) is not expected and not (expected is float and value == 0):
                raise ValueError(f"{name} is not of type {expected.__name__}")
        if values["shared_trunk"] not in ("resnet50", "narrow"):
            raise ValueError(f"unknown shared trunk {values['shared_trunk']!r}")
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
)

DEMO = NetworkConfig(
    generator_width=12,
    generator_blocks=2,
    multi_scale=True,
    generator_dropout=0.0,
    discriminator_width=16,
    shared_trunk="narrow",
    shared_widths=(16, 32, 48, 64, 96),
    specific_width_mult=0.5,
    feature_width=64,
    attention_width=32,
    head_dropout=0.2,
    n_classes=6,
)
