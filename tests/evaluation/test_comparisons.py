import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_her2.core.errors import BundleError
from napari_her2.core.score import Stain
from napari_her2.evaluation.comparisons import (
    HE_ONLY,
    load_comparisons,
    load_plain_generator,
)
from napari_her2.models.classifier import Her2Classifier
from napari_her2.models.config import DEMO
from napari_her2.models.generator import Generator

CPU = torch.device("cpu")
TINY = replace(
    DEMO,
    generator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)


def part_of(module: torch.nn.Module, *starts: str) -> dict[str, torch.Tensor]:
    return {
        name: tensor.contiguous()
        for name, tensor in module.state_dict().items()
        if not starts or name.startswith(starts)
    }


@pytest.fixture
def classifier():
    torch.manual_seed(3)
    return Her2Classifier(TINY).eval()


def test_a_head_alone_takes_the_rest_from_the_bundle(tmp_path, classifier):
    torch.manual_seed(4)
    concat = Her2Classifier(replace(TINY, fusion="concat")).eval()
    save_file(part_of(concat, "head"), tmp_path / "head_concat.safetensors")
    (found,) = load_comparisons(tmp_path, TINY, classifier, CPU)
    assert found.name == "both, concatenation"
    assert found.stains == frozenset(Stain)
    expected = Her2Classifier(replace(TINY, fusion="concat")).eval()
    expected.load_state_dict(
        {
            name: concat.state_dict()[name]
            if name.startswith("head")
            else classifier.state_dict()[name]
            for name in expected.state_dict()
        }
    )
    he, ihc = torch.rand(2, 1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(found.score(he, ihc), expected(he, ihc).logits)


def test_h_and_e_trained_alone_sees_h_and_e(tmp_path, classifier):
    save_file(part_of(classifier), tmp_path / "he_only.safetensors")
    (found,) = load_comparisons(tmp_path, TINY, classifier, CPU)
    assert found.name == HE_ONLY
    assert found.stains == {Stain.HE}


def test_the_architecture_may_stand_in_the_file(tmp_path, classifier):
    wide = replace(TINY, feature_width=24)
    torch.manual_seed(5)
    save_file(
        part_of(Her2Classifier(wide)),
        tmp_path / "he_only.safetensors",
        metadata={"network": json.dumps(wide.to_dict())},
    )
    (found,) = load_comparisons(tmp_path, TINY, classifier, CPU)
    with torch.inference_mode():
        assert found.score(torch.rand(1, 3, 64, 64), None).shape == (1, 6)


def test_weights_that_do_not_fit_are_refused(tmp_path, classifier):
    save_file({"nonsense": torch.zeros(2)}, tmp_path / "he_only.safetensors")
    with pytest.raises(BundleError, match="nonsense"):
        load_comparisons(tmp_path, TINY, classifier, CPU)
    path = tmp_path / "plain.safetensors"
    save_file({"tail.1.bias": torch.zeros(3)}, path)
    with pytest.raises(BundleError, match="missing"):
        load_plain_generator(path, TINY, CPU)


def test_a_plain_generator_is_read(tmp_path):
    torch.manual_seed(6)
    plain = Generator(replace(TINY, multi_scale=False)).eval()
    path = tmp_path / "plain_he_to_ihc.safetensors"
    save_file(part_of(plain), path)
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(load_plain_generator(path, TINY, CPU)(image), plain(image))
