from dataclasses import replace

import pytest

from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO, REFERENCE, NetworkConfig
from napari_her2.models.discriminator import PatchDiscriminator
from napari_her2.models.generator import Generator


def _count(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_reference_size_has_the_published_counts():
    plain = replace(REFERENCE, multi_scale=False)
    assert _count(Generator(plain)) == 11_383_427
    assert _count(PatchDiscriminator(REFERENCE)) == 2_768_705
    classifier = Her2Classifier(REFERENCE)
    assert _count(classifier) == 26_509_958
    assert _count(classifier.shared) == 23_508_032
    assert _count(classifier.specific["he"]) == 927_008
    assert _count(classifier.attention) == 64_000
    assert _count(classifier.head) == 2_052
    assert _count(classifier.domain) == 514


@pytest.mark.parametrize("config", [DEMO, REFERENCE])
def test_a_config_survives_the_card(config):
    assert NetworkConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator_width": "12"}, "generator_width is not of type int"),
        ({"generator_width": True}, "generator_width is not of type int"),
        ({"depth": 3}, "depth"),
        ({"shared_trunk": "alexnet"}, "alexnet"),
        ({"fusion": "sum"}, "fusion 'sum'"),
        ({"missing": "guess"}, "missing 'guess'"),
        ({"selector_width": 1}, "selector_width is not of type float"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict({**DEMO.to_dict(), **change})


@pytest.mark.parametrize("name", ["n_classes", "fusion", "missing"])
def test_a_missing_name_is_refused(name):
    values = DEMO.to_dict()
    del values[name]
    with pytest.raises(ValueError, match=name):
        NetworkConfig.from_dict(values)


def test_a_card_from_before_cells_were_counted_is_read():
    older = replace(DEMO, encoder_stride=32, cell_patterns=0, head_hidden=0)
    values = older.to_dict()
    for name in ("encoder_stride", "cell_patterns", "head_hidden"):
        del values[name]
    assert NetworkConfig.from_dict(values) == older
