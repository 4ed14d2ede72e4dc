import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from napari_her2.cells.rims import depth_of, draw_rims

MPP = 0.5


def nucleus(radius, dye=0.6, ground=0.05, size=60):
    image = np.full((size, size), ground, np.float32)
    image[disk((30, 30), radius)] = dye
    return ndimage.gaussian_filter(image, 0.8)


@pytest.mark.parametrize("ground", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("radius", [7, 10, 14])
def test_an_outline_that_is_too_wide_is_drawn_at_the_edge(radius, ground):
    labels = np.zeros((60, 60), np.int32)
    labels[disk((30, 30), radius + 2)] = 1
    drawn = draw_rims(labels, nucleus(radius, ground=ground), MPP)
    assert drawn.sum() == pytest.approx(np.pi * radius**2, rel=0.2)


def test_an_outline_at_the_edge_stays():
    labels = np.zeros((60, 60), np.int32)
    labels[disk((30, 30), 9)] = 1
    drawn = draw_rims(labels, nucleus(9), MPP)
    assert (drawn > 0).sum() > 0.93 * (labels > 0).sum()


def test_pale_chromatin_in_the_middle_stays():
    image = nucleus(12)
    image[disk((30, 30), 5)] = 0.05
    labels = np.zeros((60, 60), np.int32)
    labels[disk((30, 30), 12)] = 1
    drawn = draw_rims(labels, image, MPP)
    assert drawn[30, 30] == 1


def test_no_nucleus_disappears_whatever_the_dye():
    rng = np.random.default_rng(4)
    labels = np.zeros((80, 80), np.int32)
    for number, (y, x) in enumerate(rng.uniform(8, 72, (12, 2)), 1):
        labels[disk((y, x), 4, shape=labels.shape)] = number
    labels[2, 2] = 13
    drawn = draw_rims(labels, rng.normal(0, 1, (80, 80)).astype(np.float32), MPP)
    assert set(np.unique(drawn)) == set(np.unique(labels))
    assert ((drawn == labels) | (drawn == 0)).all()


def test_depth_is_nothing_at_a_neighbour():
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 4:10], labels[5:15, 10:16] = 1, 2
    depth = depth_of(labels, MPP)
    assert depth[10, 9] == depth[10, 10] == 0
    assert depth[10, 7] == pytest.approx(2 * MPP)
