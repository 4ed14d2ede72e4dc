from itertools import pairwise

import numpy as np
import pytest

from napari_her2.evaluation.corruption import (
    LEVELS,
    Corruption,
    corrupt,
    shift_stain,
)


@pytest.fixture
def image():
    rng = np.random.default_rng(1)
    smooth = np.kron(rng.integers(60, 240, (8, 8, 3)), np.ones((8, 8, 1)))
    return smooth.astype(np.uint8)


@pytest.mark.parametrize("how", list(Corruption))
def test_every_level_is_farther_from_the_image_than_the_last(image, how):
    other = image[::-1].copy()
    change = [
        np.abs(
            corrupt(image, how, level, mpp=0.5, other=other).astype(float) - image
        ).mean()
        for level in (0, *LEVELS)
    ]
    assert change[0] == 0
    assert all(low < high for low, high in pairwise(change))


def test_a_wrong_section_of_full_level_is_the_other_image(image):
    other = image[::-1].copy()
    assert np.array_equal(
        corrupt(image, Corruption.SECTION, 5, mpp=0.5, other=other), other
    )


def test_a_stain_shift_of_nothing_changes_nothing(image):
    assert np.abs(shift_stain(image, 0, 1).astype(int) - image).max() <= 1


def test_turning_keeps_grey_and_fading_lightens():
    grey = np.full((4, 4, 3), 90, np.uint8)
    assert np.abs(shift_stain(grey, 40, 1).astype(int) - 90).max() <= 1
    assert shift_stain(grey, 0, 0.5).min() > 140
