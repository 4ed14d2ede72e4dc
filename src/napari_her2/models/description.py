"""How many parameters the parts of a network have."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO, REFERENCE, NetworkConfig
from napari_her2.models.discriminator import PatchDiscriminator
from napari_her2.models.generator import Generator
from napari_her2.models.selector import StainSelector

SIZES = {"reference": REFERENCE, "demo": DEMO}


def count(module: nn.Module | None) -> int:
    """Return the number of parameters of a module, 0 for none."""
    if module is None:
        return 0
    return sum(parameter.numel() for parameter in module.parameters())


def parameter_counts(config: NetworkConfig) -> dict[str, int]:
    """Return parameters by part, without using memory for weights.

    ``classifier`` is the sum of the parts that follow it up to ``domain`` (the
    layer of ShaSpec's domain loss); ``generator`` is CM-GAN's or, if the
    configuration is plain, the same as ``generator_plain``; ``total`` is what a
    complete bundle holds: classifier, two generators and selector.

    Examples
    --------
    >>> from napari_her2.models.config import REFERENCE
    >>> counts = parameter_counts(REFERENCE)
    >>> counts["classifier"], counts["cam"], counts["head"], counts["selector"]
    (26509958, 64000, 2052, 5601954)
    """
    with torch.device("meta"):
        classifier = Her2Classifier(config)
        generator = Generator(config)
        plain = Generator(replace(config, multi_scale=False))
        discriminator = PatchDiscriminator(config)
        selector = StainSelector(config.selector_width)
    counts = {
        "classifier": count(classifier),
        "shared": count(classifier.shared),
        "specific_he": count(classifier.specific["he"]),
        "specific_ihc": count(classifier.specific["ihc"]),
        "projections": count(classifier.project_shared)
        + count(classifier.project_specific),
        "composition": count(classifier.fusion),
        "fusion": count(classifier.fuse),
        "cam": count(classifier.attention),
        "head": count(classifier.head),
        "domain": count(classifier.domain),
        "generator": count(generator),
        "generator_plain": count(plain),
        "discriminator": count(discriminator),
        "selector": count(selector),
    }
    bundled = ("classifier", "generator", "generator", "selector")
    return {**counts, "total": sum(counts[part] for part in bundled)}
