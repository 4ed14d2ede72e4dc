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
        # the same from what the bundle's encoders gave, which need not run again
        assert found.combine is not None
        combined = found.combine(classifier.encode(he, ihc))
        assert torch.equal(combined, expected(he, ihc).logits)
        each = {
            stain: classifier.encode(*images)[stain]
            for stain, images in ((Stain.HE, (he, None)), (Stain.IHC, (None, ihc)))
        }
        # two images at once are summed in another order than one by one
        torch.testing.assert_close(
            found.combine(each), expected(he, ihc).logits, rtol=1e-4, atol=1e-5
        )


def test_h_and_e_trained_alone_sees_h_and_e(tmp_path, classifier):
    save_file(part_of(classifier), tmp_path / "he_only.safetensors")
    (found,) = load_comparisons(tmp_path, TINY, classifier, CPU)
    assert found.name == HE_ONLY
    assert found.stains == {Stain.HE}
    assert found.combine is None  # its encoders are its own


def test_a_head_for_other_maps_encodes_for_itself(tmp_path, classifier):
    """The weights fit both, yet the maps are not the bundle's."""
    coarse = replace(TINY, fusion="concat", encoder_stride=32)
    fine = replace(TINY, encoder_stride=8)
    save_file(
        part_of(Her2Classifier(coarse), "head"),
        tmp_path / "head_concat.safetensors",
        metadata={"network": json.dumps(coarse.to_dict())},
    )
    (found,) = load_comparisons(tmp_path, fine, classifier, CPU)
    assert found.combine is None


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
