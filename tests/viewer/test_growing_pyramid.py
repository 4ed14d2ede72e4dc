import numpy as np
from napari.layers import Image

from napari_her2.viewer.growing_pyramid import THUMBNAIL_PX, growing_pyramid


def levels(side=800):
    return [np.zeros((side >> n, side >> n, 4), np.uint8) for n in range(2)]


def test_the_level_napari_keeps_is_one_nobody_zooms_out_to():
    stored = levels()
    pyramid = growing_pyramid(stored)
    assert pyramid[:-1] == stored
    assert max(pyramid[-1].shape) <= THUMBNAIL_PX


def test_tiles_that_arrive_later_show_in_the_coarsest_stored_level():
    stored = levels()
    layer = Image(growing_pyramid(stored), rgb=True, multiscale=True)
    stored[1][:200] = 255
    layer.data_level = 1
    layer.refresh()
    assert layer._slice.image.view[:200].min() == 255


def test_the_small_level_holds_every_nth_pixel():
    stored = [np.random.default_rng(0).integers(0, 255, (100, 70, 4), dtype=np.uint8)]
    small = growing_pyramid(stored)[-1]
    assert small.shape == (34, 24, 4)
    assert np.array_equal(np.asarray(small), stored[0][::3, ::3])
    assert np.array_equal(small[2:4, 1], stored[0][6:12:3, 3])
    assert (small.ndim, small.size, len(small)) == (3, 34 * 24 * 4, 34)


def test_a_small_slide_needs_no_other_level():
    stored = [np.zeros((20, 40, 4), np.uint8)]
    assert growing_pyramid(stored) == stored
