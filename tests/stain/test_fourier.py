import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.stain.fourier import FourierEnhancer, _dyes, swap_amplitude


def _image(seed, shape=(33, 40), low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (*shape, 3), np.uint8)


sizes = st.tuples(st.integers(4, 40), st.integers(4, 40))


@settings(max_examples=30, deadline=None)
@given(shape=sizes, seed=st.integers(0, 999), mix=st.floats(0, 1))
def test_an_image_restained_by_itself_is_itself(shape, seed, mix):
    image = _image(seed, shape).astype(float)
    assert np.abs(swap_amplitude(image, image, mix=mix) - image).max() < 1e-9


@settings(max_examples=30, deadline=None)
@given(shape=sizes, seed=st.integers(0, 999))
def test_the_mean_of_every_channel_becomes_the_targets(shape, seed):
    source, target = _image(seed, shape).astype(float), _image(seed + 1, shape)
    swapped = swap_amplitude(source, target.astype(float))
    np.testing.assert_allclose(swapped.mean((0, 1)), target.mean((0, 1)), atol=1e-9)


def test_a_constant_becomes_the_other_constant():
    swapped = swap_amplitude(np.full((8, 8, 3), 20.0), np.full((8, 8, 3), 200.0))
    np.testing.assert_allclose(swapped, 200)


def test_the_phase_stays_where_there_is_amplitude():
    source, target = _image(1).astype(float), _image(2).astype(float)
    ours = np.fft.rfft2(source, axes=(0, 1))
    after = np.fft.rfft2(swap_amplitude(source, target), axes=(0, 1))
    strong = (np.abs(ours) > 1e-6) & (np.abs(after) > 1e-6)
    assert strong.mean() > 0.99
    difference = np.angle(after[strong] / ours[strong])
    assert np.abs(difference).max() < 1e-6


def test_half_a_mix_is_half_way_in_the_amplitude():
    source, target = np.full((8, 8), 20.0), np.full((8, 8), 200.0)
    np.testing.assert_allclose(swap_amplitude(source, target, mix=0.5), 110)
    np.testing.assert_allclose(swap_amplitude(source, target, mix=0.0), 20)


def test_a_window_leaves_high_frequencies_alone():
    source, target = _image(1).astype(float), _image(2).astype(float)
    swapped = swap_amplitude(source, target, window=0.1)
    before, after, theirs = (
        np.abs(np.fft.rfft2(image, axes=(0, 1))) for image in (source, swapped, target)
    )
    high = np.abs(np.fft.fftfreq(33)) > 0.1
    np.testing.assert_allclose(after[high], before[high], atol=1e-6)
    np.testing.assert_allclose(after[0, :4], theirs[0, :4], atol=1e-6)


@pytest.mark.parametrize("changes", [{"mix": 1.1}, {"mix": -0.1}, {"window": 0.6}])
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(UsageError, match="out of range"):
        swap_amplitude(np.zeros((4, 4)), np.zeros((4, 4)), **changes)


def test_images_of_two_shapes_are_refused():
    with pytest.raises(UsageError, match="do not fit"):
        swap_amplitude(np.zeros((4, 4)), np.zeros((4, 5)))


def test_values_are_clipped_and_never_wrap():
    source, target = _image(3), _image(4)
    exact = swap_amplitude(source.astype(float), target.astype(float))
    assert exact.min() < 0
    assert exact.max() > 255
    done = FourierEnhancer(most_clipped=1.0).restain(source, target, Stain.HE)
    assert done.image.dtype == np.uint8
    assert done.accepted
    assert (done.image[exact < 0] == 0).all()
    assert (done.image[exact > 255] == 255).all()


def test_too_many_clipped_pixels_leave_the_source():
    source, target = _image(3), _image(4)
    done = FourierEnhancer().restain(source, target, Stain.HE)
    assert not done.accepted
    assert done.clipped_share > 0.05
    assert np.array_equal(done.image, source)


def test_a_gentle_swap_is_accepted():
    source, target = _image(3, low=120, high=140), _image(4, low=100, high=120)
    done = FourierEnhancer().restain(source, target, Stain.HE)
    assert done.accepted
    assert done.clipped_share == 0
    assert done.image.mean() == pytest.approx(target.mean(), abs=1)


def test_the_same_numbers_give_the_same_image():
    source, targets = _image(1, low=90, high=99), [_image(k) for k in range(2, 9)]
    enhancer = FourierEnhancer(chance=1.0, most_clipped=1.0)
    images = [
        enhancer(source, targets, np.random.default_rng(seed), Stain.HE)
        for seed in (5, 5, 6)
    ]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_most_images_are_left_as_they_are():
    source, rng = _image(1, low=90, high=99), np.random.default_rng(0)
    targets = [_image(2, low=60, high=80)]
    changed = [
        FourierEnhancer()(source, targets, rng, Stain.HE) is not source
        for _ in range(200)
    ]
    assert 0.3 < np.mean(changed) < 0.5


def test_ihc_is_refused():
    enhancer = FourierEnhancer(chance=0.0)
    with pytest.raises(UsageError, match="which is the label"):
        enhancer.restain(_image(1), _image(2), Stain.IHC)
    with pytest.raises(UsageError, match="which is the label"):
        enhancer(_image(1), [_image(2)], np.random.default_rng(0), Stain.IHC)


def test_haematoxylin_alone_changes_no_dab():
    source, target = _image(1, low=60, high=180), _image(2, low=90, high=170)
    enhancer = FourierEnhancer(mix=0.5)
    done = enhancer.restain(source, target, Stain.IHC, haematoxylin_only=True)
    assert done.accepted
    before, after = _dyes(source), _dyes(done.image)
    assert np.abs(after[..., 0] - before[..., 0]).mean() > 0.01
    # what is left is rounding to grey values
    assert np.abs(after[..., 1:] - before[..., 1:]).mean() < 0.003
