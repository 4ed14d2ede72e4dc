import numpy as np
import pytest

from napari_her2.evaluation.feature_distance import fid, frechet, kid, mra


def test_frechet_of_two_shifted_normals_is_the_squared_shift():
    shift = np.array([0.5, -1.0, 2.0])
    eye = np.eye(3)
    assert frechet(np.zeros(3), eye, shift, eye) == pytest.approx(shift @ shift)
    # one dimension in closed form: (s1 - s2)^2
    four, nine = np.array([[4.0]]), np.array([[9.0]])
    assert frechet(np.zeros(1), four, np.zeros(1), nine) == pytest.approx(1)


def test_fid_of_samples_approaches_it():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(4000, 4))
    fake = rng.normal(size=(4000, 4)) + np.array([1.0, 0, 0, 0])
    assert fid(real, fake) == pytest.approx(1, abs=0.1)
    assert fid(real, real) == pytest.approx(0, abs=1e-9)


def test_kid_is_unbiased_and_sees_a_shift():
    rng = np.random.default_rng(1)
    same = [kid(*rng.normal(size=(2, 100, 5))) for _ in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)
    assert kid(rng.normal(size=(100, 5)), rng.normal(1, 1, (100, 5))) > 0.5


def test_mra_of_equal_sets_is_one_of_a_cyclic_shift_nought():
    features = np.random.default_rng(2).normal(size=(30, 6))
    assert mra(features, features) == 1
    assert mra(features, np.roll(features, 1, axis=0)) == 0
    assert mra(features, 7.5 * features) == 1  # scale does not matter
    assert mra(np.eye(4), np.roll(np.eye(4), 1, axis=0), top=4) == 1
