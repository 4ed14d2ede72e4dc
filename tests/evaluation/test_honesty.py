"""The leakage test itself: whoever leaks is caught, whoever guesses is not."""

import numpy as np
import pytest

from napari_her2.evaluation.honesty import chance_test
from napari_her2.evaluation.probabilities import SharedClasses

N_SLIDES, PER_SLIDE = 60, 3
SLIDES = np.repeat(np.arange(N_SLIDES), PER_SLIDE)


def world(seed: int) -> np.ndarray:
    """Truths that resemble each other within a slide, some without tumour."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(1, 6, N_SLIDES), PER_SLIDE)
    truth[rng.random(len(truth)) < 0.15] = 0
    return truth


def probabilities(calls: np.ndarray, truth: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(6), len(calls)) * 0.2
    values[np.arange(len(calls)), calls] += 1
    # that there is no tumour shows in H&E, and must not count
    values[:, 0] = np.where(truth == 0, 5, 0.01)
    return values / values.sum(1, keepdims=True)


def test_calls_that_know_nothing_are_at_chance(classes: SharedClasses):
    """A 95 % interval may miss in one of twenty, and say leak in one of forty."""
    tests = []
    for seed in range(40):
        truth = world(seed)
        rng = np.random.default_rng(seed + 100)
        # the same guess for a whole slide, and a liking for 2+
        guess = np.repeat(rng.choice([1, 2, 4, 4, 4, 5], N_SLIDES), PER_SLIDE)
        said = probabilities(guess, truth, seed)
        tests.append(chance_test(said, truth, SLIDES, classes))
        assert tests[-1].n_regions == (truth > 0).sum()
    assert sum(test.at_chance for test in tests) >= 34
    assert sum(test.leaks for test in tests) <= 4


@pytest.mark.parametrize("share", [0.35, 1.0])
def test_calls_that_know_some_slides_leak(share: float, classes: SharedClasses):
    """A network that remembers the slide is caught though it remembers few."""
    truth = world(1)
    rng = np.random.default_rng(5)
    known = np.repeat(rng.random(N_SLIDES) < share, PER_SLIDE)
    guess = np.where(known & (truth > 0), truth, rng.integers(1, 6, len(truth)))
    found = chance_test(probabilities(guess, truth, 1), truth, SLIDES, classes)
    assert found.leaks
    assert not found.at_chance
    assert found.above_chance.value == pytest.approx(share * 0.8, abs=0.15)


def test_always_the_same_call_is_at_chance_whatever_the_balance(
    classes: SharedClasses,
):
    truth = np.where(np.arange(len(SLIDES)) % 7 == 0, 2, 5)
    found = chance_test(
        probabilities(np.full(len(truth), 5), truth, 1), truth, SLIDES, classes
    )
    assert found.accuracy.value > 0.8
    assert found.above_chance.value == pytest.approx(0)
    assert found.at_chance
    assert found.to_json()["majority_accuracy"] == found.to_json()["accuracy"][0]


def test_without_tumour_there_is_nothing_to_test(classes: SharedClasses):
    truth = np.zeros(6, int)
    with pytest.raises(ValueError, match="tumour"):
        chance_test(np.full((6, 6), 1 / 6), truth, np.arange(6), classes)
