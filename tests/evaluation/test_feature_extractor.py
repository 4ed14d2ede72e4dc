import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

from napari_her2.core.errors import BundleError
from napari_her2.evaluation.feature_extractor import FeatureExtractor, feature_scores


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(resnet50().state_dict(), path)
    return FeatureExtractor(path, torch.device("cpu"))


def test_features_are_the_same_again_and_differ_by_image(extractor):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 80, 80, 3), dtype=np.uint8)
    assert extractor(a).shape == (2048,)
    assert np.array_equal(extractor(a), extractor(a))
    assert not np.allclose(extractor(a), extractor(b))


def test_scores_say_what_they_rest_on(extractor):
    rng = np.random.default_rng(1)
    real = list(rng.normal(size=(6, 5)))
    found = feature_scores(real, real, extractor.sha256)
    assert found["mra_top_1"] == 1
    assert found["n_images"] == 6
    assert "fewer than 1000" in found["fid_warning"]
    assert len(extractor.sha256) == 64


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(BundleError, match="no ResNet50 weights"):
        FeatureExtractor(path, torch.device("cpu"))
