"""Reading through a map: exact where it can be, and the same from any request."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.geometry import Affine
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.halving import halve
from napari_her2.slides.resample import read_bent, read_mapped
from napari_her2.slides.slide import Slide
from napari_her2.slides.source import SlideSource


def slide_of(*images):
    source = SlideSource([ArrayBlocks(image) for image in images], 0.25, "", int)
    return Slide(Path("a.tif"), source)


IMAGE = np.random.default_rng(5).integers(0, 256, (1301, 1107, 3), dtype=np.uint8)
SLIDE = slide_of(IMAGE)
Y, X = np.mgrid[:1200, :1000] + 0.5
RAMP = np.stack([Y / 8, X / 8, (Y + X) / 16], axis=2).round().astype(np.uint8)
RAMP_SLIDE = slide_of(RAMP)


@pytest.fixture(autouse=True, scope="module")
def close_at_the_end():
    yield
    SLIDE.close()
    RAMP_SLIDE.close()


def shift(dy, dx):
    return Affine(((1, 0, dy), (0, 1, dx)))


def test_a_whole_pixel_shift_is_a_plain_slice():
    out = read_mapped(SLIDE, shift(100, 37), (200, 300))
    np.testing.assert_array_equal(out, IMAGE[100:300, 37:337])
    assert out.flags.writeable


def test_a_level_is_read_as_it_is():
    halved = halve(IMAGE)
    out = read_mapped(SLIDE, Affine(((2, 0, 60), (0, 2, 10))), (100, 90))
    np.testing.assert_array_equal(out, halved[30:130, 5:95])


def test_beyond_the_last_level_it_halves_on():
    expected = halve(halve(halve(IMAGE)))
    out = read_mapped(SLIDE, Affine.scaling(8), expected.shape[:2], fill=0)
    np.testing.assert_array_equal(out[:162, :138], expected[:162, :138])


@pytest.mark.parametrize("fill", [255, 0])
def test_outside_the_slide_is_fill(fill):
    out = read_mapped(SLIDE, shift(-10, -20), (30, 50), fill=fill)
    assert (out[:10] == fill).all()
    assert (out[:, :20] == fill).all()
    np.testing.assert_array_equal(out[10:, 20:], IMAGE[:20, :30])
    out = read_mapped(SLIDE, shift(1291, 1100), (30, 50), fill=fill)
    np.testing.assert_array_equal(out[:10, :7], IMAGE[1291:, 1100:])
    assert (out[10:] == fill).all()
    assert (out[:, 7:] == fill).all()
    for far in (shift(5000, 0), shift(0, -5000), Affine(((0, 1, 9e9), (-1, 0, 0)))):
        assert (read_mapped(SLIDE, far, (30, 50), fill=fill) == fill).all()


def test_a_vendor_level_that_lost_its_last_row_leaves_no_white_line():
    # 101 rows halve to 51; vendors often write 50
    image = np.full((2049, 2049, 3), 90, np.uint8)
    slide = slide_of(image, image[:1024, :1024])
    assert slide.downsample(1) == 2
    for scale in (2, 2.2):
        n = int(2049 / scale)
        out = read_mapped(slide, Affine.scaling(scale), (n, n))
        assert (out == 90).all()
    slide.close()


@pytest.mark.parametrize(
    "to_level0",
    [
        Affine.scaling(0.5),
        Affine.scaling(1.37),
        Affine.scaling(3.1),
        Affine(((1, 0, 20.25), (0, 1, 10.5))),
        Affine(((0.9, -0.3, 300), (0.3, 0.9, 20))),
        Affine(((0, 1.6, 5), (-1.6, 0, 900))),
        Affine(((1.2, 0, 5), (0, -1.2, 900))),
    ],
)
def test_a_ramp_stays_a_ramp_in_the_right_place(to_level0):
    """Half-pixel errors would show as a constant offset."""
    out = read_mapped(RAMP_SLIDE, to_level0, (120, 140))
    i, j = np.mgrid[:120, :140] + 0.5
    at = to_level0.apply(np.stack([i, j], axis=2))
    inside = ((at > 16) & (at < (1184, 984))).all(axis=2)
    assert inside.mean() > 0.5
    expected = np.stack([at[..., 0] / 8, at[..., 1] / 8, at.sum(axis=2) / 16], axis=2)
    difference = (out - expected)[inside]
    assert abs(difference.mean()) < 0.06
    assert np.abs(difference).max() < 1.2


def test_shrinking_averages():
    board = np.indices((1200, 1200)).sum(axis=0) % 2 * 255
    slide = slide_of(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    with slide:
        out = read_mapped(slide, Affine.scaling(1.8), (500, 500))[5:-5, 5:-5]
    assert out.std() < 30
    assert abs(out.mean() - 127.5) < 2


numbers = st.floats(-3, 3).filter(lambda x: x == 0 or abs(x) > 1e-3)
offsets = st.integers(-64, 64)


@settings(max_examples=120, deadline=None)
@given(
    linear=st.one_of(
        st.tuples(st.floats(0.2, 9), st.just(0.0), st.just(0.0), st.floats(0.2, 9)),
        st.tuples(numbers, numbers, numbers, numbers),
        st.sampled_from([(1, 0, 0, 1), (2, 0, 0, 2), (0.5, 0, 0, 0.5), (4, 0, 0, 4)]),
    ),
    corner=st.tuples(st.floats(-200, 1500), st.floats(-200, 1300)),
    move=st.tuples(offsets, offsets),
)
def test_the_same_pixel_from_any_request(linear, corner, move):
    """Two boxes that overlap agree bit for bit where they do."""
    a, b, c, d = linear
    if abs(a * d - b * c) < 0.02:
        return
    first = Affine(((a, b, corner[0]), (c, d, corner[1])))
    dy, dx = move
    second = shift(dy, dx).then(first)
    one = read_mapped(SLIDE, first, (70, 80))
    two = read_mapped(SLIDE, second, (75, 66))
    y0, x0 = max(dy, 0), max(dx, 0)
    y1, x1 = min(70, 75 + dy), min(80, 66 + dx)
    if y0 < y1 and x0 < x1:
        np.testing.assert_array_equal(
            one[y0:y1, x0:x1], two[y0 - dy : y1 - dy, x0 - dx : x1 - dx]
        )


@pytest.mark.parametrize("scale", [0.6, 1.0, 3.3])
def test_a_bent_read_through_an_affine_map_is_the_mapped_read(scale):
    turn = Affine(((scale * 0.9, scale * 0.3, 90), (-scale * 0.3, scale * 0.9, 260)))
    expected = read_mapped(SLIDE, turn, (130, 147))
    out = read_bent(SLIDE, turn.apply, (130, 147))
    assert out.shape == expected.shape
    # places differ by rounding alone, so few pixels take another 4096th
    assert (np.abs(out.astype(int) - expected) <= 1).mean() > 0.999


def test_a_bend_is_followed():
    def bend(points):
        wave = 6 * np.sin(np.asarray(points)[..., ::-1] / 120)
        return np.asarray(points) + 50 + wave

    out = read_bent(RAMP_SLIDE, bend, (400, 400)).astype(float)
    y, x = np.mgrid[:400, :400] + 0.5
    there = bend(np.stack([y, x], -1))
    np.testing.assert_allclose(out[..., 0], there[..., 0] / 8, atol=1.01)
    np.testing.assert_allclose(out[..., 1], there[..., 1] / 8, atol=1.01)


def test_a_bent_read_is_white_beyond_the_slide():
    out = read_bent(SLIDE, lambda points: np.asarray(points) - 40, (100, 60))
    assert (out[:40] == 255).all()
    assert (out[:, :40] == 255).all()
    np.testing.assert_array_equal(out[40:, 40:], IMAGE[:60, :20])
