import math

import numpy as np
import pytest

from napari_her2.evaluation.intervals import (
    Interval,
    bootstrap,
    correlation_by_slide,
    mean_by_slide,
    ratio,
    sums_by_slide,
)


def test_the_same_draws_are_taken_for_the_same_seed_and_slides():
    sums = np.random.default_rng(3).normal(1, 1, (20, 2))
    first = bootstrap(sums, ratio, seed=4)
    assert first == bootstrap(sums, ratio, seed=4)
    assert first != bootstrap(sums, ratio, seed=5)


def test_regions_of_one_slide_do_not_narrow_the_interval():
    """Twenty equal regions of each slide say no more than one."""
    rng = np.random.default_rng(2)
    hits = rng.integers(0, 2, 30).astype(float)
    once = mean_by_slide(hits, np.arange(30), seed=1)
    often = mean_by_slide(np.repeat(hits, 20), np.repeat(np.arange(30), 20), seed=1)
    assert often == once
    assert once.high - once.low > 0.3


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = mean_by_slide(values, np.arange(400), seed=1)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_correlation_equals_numpys():
    rng = np.random.default_rng(1)
    a = rng.normal(100, 1, 60)
    b = 0.5 * a + rng.normal(0, 1, 60)
    found = correlation_by_slide(a, b, np.repeat(np.arange(20), 3))
    assert found.value == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)
    assert found.low < found.value < found.high


def test_what_is_not_defined_stays_so():
    flat = correlation_by_slide(np.ones(5), np.arange(5.0), np.arange(5))
    assert math.isnan(flat.value)
    assert mean_by_slide(np.full(3, np.nan), np.arange(3)).to_json() == [None] * 3
    one = bootstrap(np.array([[1.0, 2.0]]), ratio)
    assert one.to_json() == [0.5, None, None]
    assert Interval(0.1, -0.1, 0.2).covers(0)


def test_sums_follow_any_slide_numbers():
    sums = sums_by_slide(np.array([[1.0], [2], [4]]), np.array([9, 3, 9]))
    assert sums.tolist() == [[2.0], [5.0]]
