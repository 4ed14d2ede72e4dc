"""The selector's answer becomes a sentence, and changes nothing."""

import numpy as np
import pytest
import torch
from inference_fakes import pair_of

from napari_her2.core.score import Stain
from napari_her2.inference.stain_verification import doubts, verify_stains
from napari_her2.stain.verdict import Agreement

PINK, BROWN = (200, 110, 190), (150, 105, 70)


class FakeSelector(torch.nn.Module):
    """Takes whatever has more blue than red for H&E."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        tissue = (images.mean(1) < 0.9).float()
        difference = ((images[:, 2] - images[:, 0]) * tissue).sum((1, 2))
        blue = difference / tissue.sum((1, 2)) + 0.15
        return torch.stack([blue, -blue], 1) * 100


class FakeNetwork:
    def __init__(self, selector):
        self.selector = selector


@pytest.fixture
def stained(slide):
    def stained(name, colour):
        rng = np.random.default_rng(0)
        image = np.full((700, 900, 3), 245, np.uint8)
        tissue = rng.normal(colour, 8, (500, 600, 3)).clip(0, 255)
        image[100:600, 100:700] = tissue.astype(np.uint8)
        return slide(name, image)

    return stained


def test_without_a_selector_nothing_is_said(stained):
    pair = pair_of(stained("he.tif", PINK))
    assert verify_stains(pair, FakeNetwork(None), 0.5) == ()


def test_slides_that_look_as_given_raise_no_doubt(stained):
    pair = pair_of(stained("he.tif", PINK), stained("ihc.tif", BROWN))
    verdicts = verify_stains(pair, FakeNetwork(FakeSelector()), 0.5)
    assert [v.declared for v in verdicts] == [Stain.HE, Stain.IHC]
    assert {v.agreement for v in verdicts} == {Agreement.MATCHES}
    assert doubts(verdicts) == ()


def test_exchanged_slides_are_told_by_name(stained):
    pair = pair_of(stained("he.tif", BROWN), stained("ihc.tif", PINK))
    said = doubts(verify_stains(pair, FakeNetwork(FakeSelector()), 0.5))
    assert said == (
        "H&E: It was given as H&E but looks like HER2 IHC.",
        "HER2 IHC: It was given as HER2 IHC but looks like H&E.",
    )


def test_an_empty_slide_says_nothing(slide):
    pair = pair_of(slide("he.tif", np.full((300, 300, 3), 245, np.uint8)))
    assert verify_stains(pair, FakeNetwork(FakeSelector()), 0.5) == ()
