import numpy as np
import pytest
from skimage.color import rgb2lab

from napari_her2.evaluation.colour_transfer import (
    ColourSums,
    flat_colour,
    transfer_colour,
)


@pytest.fixture
def brown():
    rng = np.random.default_rng(1)
    base = np.array([190, 160, 130])
    return (base + rng.integers(-20, 21, (64, 64, 3))).astype(np.uint8)


def test_a_transferred_image_has_the_colours_of_the_target(brown):
    rng = np.random.default_rng(2)
    pink = (np.array([200, 120, 180]) + rng.integers(-15, 16, (64, 64, 3))).astype(
        np.uint8
    )
    made = transfer_colour(pink, ColourSums.of(brown))
    for image, statistic in ((brown, np.mean), (brown, np.std)):
        wanted = statistic(rgb2lab(image).reshape(-1, 3), axis=0)
        found = statistic(rgb2lab(made).reshape(-1, 3), axis=0)
        assert found == pytest.approx(wanted, abs=1.2)


def test_sums_add_up_and_the_flat_colour_is_their_mean(brown):
    white = np.full_like(brown, 250)
    both = ColourSums.of(brown) + ColourSums.of(white)
    mean = (brown[::4, ::4].mean((0, 1)) + 250) / 2
    assert both.mean_colour.tolist() == pytest.approx(mean.tolist(), abs=0.51)
    flat = flat_colour(brown.shape, both)
    assert flat.shape == brown.shape
    assert np.ptp(flat.reshape(-1, 3), axis=0).tolist() == [0, 0, 0]
