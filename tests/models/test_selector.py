import numpy as np
import pytest
import torch

from napari_her2.core.score import Stain
from napari_her2.models.selector import StainSelector, verify_stain
from napari_her2.models.torchvision_ops import torchvision
from napari_her2.stain.verdict import Agreement


def _count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_at_full_width_it_is_googlenet():
    selector = StainSelector(1.0).eval()
    assert _count(selector) == 5_601_954
    original = torchvision.models.googlenet(
        num_classes=2, aux_logits=False, init_weights=False
    ).eval()
    names = zip(selector.state_dict(), original.state_dict(), strict=True)
    weights = original.state_dict()
    selector.load_state_dict({mine: weights[theirs] for mine, theirs in names})
    images = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        assert torch.allclose(selector(images), original(images * 2 - 1), atol=1e-5)


def test_it_shrinks_with_its_width():
    assert _count(StainSelector(0.125)) < 100_000


class RedFractionSelector(torch.nn.Module):
    """Stands for a trained one: the redder an image, the surer H&E."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(40.0))

    def forward(self, images):
        excess = (images[:, 0] - images[:, 1]).mean((1, 2)) - 0.25
        return torch.stack([excess, -excess], 1) * self.scale


def _image(colour):
    rng = np.random.default_rng(1)
    noise = rng.integers(-8, 9, (500, 700, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


PINK, BROWN = _image((220, 110, 175)), _image((150, 110, 60))


@pytest.mark.parametrize(
    ("image", "declared", "agreement"),
    [
        (PINK, Stain.HE, Agreement.MATCHES),
        (PINK, Stain.IHC, Agreement.MISMATCH),
        (BROWN, Stain.IHC, Agreement.MATCHES),
        (BROWN, Stain.HE, Agreement.MISMATCH),
    ],
)
def test_the_declared_stain_is_compared_and_kept(image, declared, agreement):
    verdict = verify_stain(RedFractionSelector(), image, declared)
    assert verdict.agreement is agreement
    assert verdict.declared is declared


def test_glass_tells_nothing():
    verdict = verify_stain(RedFractionSelector(), _image((240,) * 3), Stain.HE)
    assert verdict.agreement is Agreement.UNSURE
    assert np.isnan(verdict.probability)


def test_an_image_smaller_than_a_window_is_looked_at_whole():
    verdict = verify_stain(RedFractionSelector(), PINK[:60, :90], Stain.HE)
    assert verdict.agreement is Agreement.MATCHES
