"""A level behaves like the numpy array it stands for, from any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.level import Level

IMAGE = np.random.default_rng(3).integers(0, 256, (70, 91, 3), dtype=np.uint8)


class Blocks:
    def __init__(self, image=IMAGE, block_px=(16, 24)):
        self.image, self.shape, self.block_px = image, image.shape[:2], block_px
        self.n_read = 0

    def read_block(self, row, col):
        self.n_read += 1
        y, x = row * self.block_px[0], col * self.block_px[1]
        return self.image[y : y + self.block_px[0], x : x + self.block_px[1]]


axis_index = st.one_of(
    st.integers(-70, 69),
    st.slices(91),
    st.builds(
        slice, st.none() | st.integers(-99, 99), st.none() | st.integers(-99, 99)
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.tuples(axis_index, axis_index, st.one_of(st.integers(-3, 2), st.slices(3))))
def test_indexing_is_that_of_numpy(index):
    level = Level(Blocks(), BlockCache())
    np.testing.assert_array_equal(level[index], IMAGE[index])


@pytest.mark.parametrize(
    "index", [..., 3, (..., 0), (slice(4, 9),), (2, ..., 1), (slice(0, 0), 5)]
)
def test_short_indices(index):
    level = Level(Blocks(), BlockCache())
    np.testing.assert_array_equal(level[index], IMAGE[index])


@pytest.mark.parametrize("index", [None, [1, 2], (0, 0, 0, 0), 70, (0, -92)])
def test_what_is_no_index_is_refused(index):
    with pytest.raises(IndexError):
        Level(Blocks(), BlockCache())[index]


def test_it_is_an_array_like():
    level = Level(Blocks(), BlockCache())
    assert (level.shape, level.dtype, level.ndim) == ((70, 91, 3), np.uint8, 3)
    assert (len(level), level.size, level.nbytes) == (70, IMAGE.size, IMAGE.nbytes)
    np.testing.assert_array_equal(np.asarray(level), IMAGE)
    assert np.asarray(level, dtype=float).dtype == float
    with pytest.raises(ValueError, match="shared"):
        np.asarray(level, copy=False)


def test_only_the_blocks_asked_for_are_read():
    blocks = Blocks()
    level = Level(blocks, BlockCache())
    level[16:32, 24:48]
    assert blocks.n_read == 1
    level[10:40, 20:50]
    assert blocks.n_read == 9


def test_what_comes_back_may_be_written_to():
    level = Level(Blocks(), BlockCache())
    level[:16, :24][:] = 0
    np.testing.assert_array_equal(level[:16, :24], IMAGE[:16, :24])


def test_many_threads_read_the_same():
    level = Level(Blocks(), BlockCache(capacity_bytes=5000))
    rng = np.random.default_rng(0)
    boxes = [np.sort(rng.integers(0, 70, (2, 2)), axis=0) for _ in range(300)]

    def check(box):
        (y0, x0), (y1, x1) = box
        return np.array_equal(level[y0:y1, x0:x1], IMAGE[y0:y1, x0:x1])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, boxes))


@pytest.mark.parametrize(
    ("block_px", "chunk"),
    [
        (240, 720),
        (256, 512),
        (512, 512),
        (1024, 1024),
        (8, 512),
        (3968, 512),
        (700, 700),
    ],
)
def test_chunks_suit_a_viewer(block_px, chunk):
    blocks = Blocks(np.empty((5000, 5000, 3), np.uint8), (block_px, block_px))
    assert Level(blocks, BlockCache()).chunks == (chunk, chunk, 3)
