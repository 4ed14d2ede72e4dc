import numpy as np
import pytest
import torch

from napari_her2.core.score import Stain
from napari_her2.models.appearance import appearance
from napari_her2.models.familiarity import GROUPS, Familiarity, cut_windows
from napari_her2.training.known_tissue import familiarity_of

INK = {"violet": (0.55, 0.7, 0.3), "green": (0.7, 0.2, 0.6)}


def tissue(n, ink, seed, blobs=16, px=128):
    """Return (n, 3, px, px) windows of soft blobs in one ink."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.rand(n, 1, blobs, blobs, generator=generator)
    field = torch.nn.functional.interpolate(field, size=px, mode="bilinear")
    density = field * torch.tensor(INK[ink]).view(1, 3, 1, 1)
    noise = 0.004 * torch.randn(n, 3, px, px, generator=generator)
    return (0.95 * 10**-density + noise).clamp(0, 1)


@pytest.fixture(scope="module")
def familiarity():
    features, _ = appearance(tissue(240, "violet", 1))
    known = (features, np.arange(240) // 3)
    return familiarity_of({(0, 1, 0, 0): known, (0, 1, 0, 1): known})


def test_other_windows_of_the_same_kind_are_familiar(familiarity):
    far = familiarity.distance(Stain.HE, tissue(60, "violet", 2))
    assert (far <= 1).float().mean() > 0.9


@pytest.mark.parametrize("strange", [{"ink": "green"}, {"ink": "violet", "blobs": 40}])
def test_another_colour_or_grain_is_not(familiarity, strange):
    assert (familiarity.distance(Stain.HE, tissue(20, seed=3, **strange)) > 1).all()


def test_what_was_never_fitted_is_not_familiar(familiarity):
    assert (familiarity.distance(Stain.IHC, tissue(2, "violet", 2)) > 1).all()


def test_blank_or_tiny_images_cannot_be_told(familiarity):
    assert familiarity.distance(Stain.HE, torch.ones(2, 3, 256, 256)).isnan().all()
    assert familiarity.distance(Stain.HE, torch.zeros(1, 3, 90, 300)).isnan().all()


def test_turning_and_mirroring_changes_nothing():
    image = tissue(2, "violet", 4)
    features, share = appearance(image)
    for other in (image.flip(3), image.rot90(1, (2, 3)), image.rot90(2, (2, 3))):
        turned, its_share = appearance(other)
        torch.testing.assert_close(turned, features, rtol=1e-3, atol=2e-3)
        torch.testing.assert_close(its_share, share)


def test_windows_lie_about_the_middle():
    image = torch.arange(300 * 270.0).view(1, 1, 300, 270).expand(2, 3, -1, -1)
    windows = cut_windows(image, 128)
    assert windows.shape == (8, 3, 128, 128)
    assert windows[0, 0, 0, 0] == image[0, 0, 22, 7]
    assert torch.equal(windows[3], image[0, :, 150:278, 135:263])


def test_a_bundle_keeps_it(familiarity):
    again = Familiarity.from_state(familiarity.state(), {})
    image = tissue(3, "violet", 5)
    assert torch.equal(
        again.distance(Stain.HE, image), familiarity.distance(Stain.HE, image)
    )
    assert tuple(again.threshold.shape) == (*GROUPS, 2)


def test_nonsense_is_refused(familiarity):
    state = familiarity.state()
    with pytest.raises(KeyError):
        Familiarity.from_state({"knots": state["knots"]})
    with pytest.raises(ValueError, match="finite"):
        Familiarity.from_state({**state, "knots": state["knots"] * torch.nan})
    with pytest.raises(ValueError, match="fit each other"):
        Familiarity.from_state({**state, "precision": state["precision"][..., :1]})
    with pytest.raises(ValueError, match="windows_px"):
        Familiarity.from_state(state, {"windows_px": [64]})
