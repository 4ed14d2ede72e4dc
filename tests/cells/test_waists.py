import numpy as np
import pytest
from skimage.draw import ellipse

from napari_her2.cells.waists import split_at_waists

MPP = 0.5


def part(*ellipses, shape=(80, 80)):
    """One part (h, w) of ellipses (y, x, semi_y, semi_x), in px."""
    labels = np.zeros(shape, np.int32)
    for one in ellipses:
        labels[ellipse(*one, shape=shape)] = 1
    return labels


@pytest.mark.parametrize("apart", [13, 15, 17])
def test_two_nuclei_grown_together_are_divided_between_them(apart):
    left, right = 40 - apart / 2, 40 + apart / 2
    labels = split_at_waists(part((40, left, 9, 9), (40, right, 9, 9)), MPP)
    assert labels.max() == 2
    a, b = labels[40, int(left)], labels[40, int(right)]
    assert a != b
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.min() > 0.8 * sizes.max()


@pytest.mark.parametrize(
    "ellipses",
    [
        [(40, 40, 9, 9)],
        [(40, 40, 6, 20)],
        [(40, 36, 9, 9), (40, 42, 9, 9)],  # hardly two
        [(40, 40, 10, 10), (40, 52, 3, 4)],  # a bump too small for a nucleus
    ],
)
def test_one_nucleus_stays_one(ellipses):
    labels = part(*ellipses)
    assert np.array_equal(split_at_waists(labels, MPP) > 0, labels > 0)
    assert split_at_waists(labels, MPP).max() == 1


def test_neighbours_that_touch_are_left_as_they_are():
    labels = part((40, 31, 9, 9))
    labels[ellipse(40, 49, 9, 9, shape=labels.shape)] = 2
    assert np.array_equal(split_at_waists(labels, MPP), labels)


def test_nothing_stays_nothing():
    empty = np.zeros((20, 20), np.int32)
    assert not split_at_waists(empty, MPP).any()
