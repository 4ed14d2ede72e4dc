import numpy as np
import pytest
from skimage.color import hed2rgb

from napari_her2.core.score import Stain
from napari_her2.stain.separation import dab_share, stain_by_colour, tissue_of


def _dyed(haematoxylin, eosin, dab):
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.5, 1.5, (64, 64, 1)) * [haematoxylin, eosin, dab]
    return (hed2rgb(amounts) * 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("dyes", "stain"),
    [
        ((0.1, 0.1, 0.0), Stain.HE),
        ((0.05, 0.15, 0.01), Stain.HE),
        ((0.1, 0.0, 0.1), Stain.IHC),
        ((0.2, 0.0, 0.02), Stain.IHC),
    ],
)
def test_colours_speak_for_the_stain(dyes, stain):
    assert stain_by_colour(dab_share(_dyed(*dyes))) is stain


def test_a_mixture_speaks_for_neither():
    assert stain_by_colour(0.82) is None


def test_glass_and_ink_are_no_tissue():
    image = np.full((40, 40, 3), 240, np.uint8)
    image[:10] = 5
    assert not tissue_of(image).any()
    assert np.isnan(dab_share(image))
    assert stain_by_colour(float("nan")) is None
