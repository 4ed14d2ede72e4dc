import numpy as np
import pytest

from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.calibration import softmax
from napari_her2.training.statistics import fit_calibration, temperature

CLASSES = ("no invasive tumour", *(score.value for score in Score))


def regions(n, seed=0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, len(CLASSES)))
    below = softmax(logits).cumsum(1) < rng.uniform(size=(n, 1))
    return logits, below.sum(1).clip(max=len(CLASSES) - 1)


def test_the_temperature_that_was_put_in_is_found():
    logits, labels = regions(4000)
    assert temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)


def test_sets_hold_the_truth_on_new_regions():
    logits, labels = regions(3000, 1)
    slides = np.arange(3000) // 5
    fitted = fit_calibration({Arm.HE: 2 * logits}, labels, slides, CLASSES, alpha=0.2)
    fresh, truth = regions(3000, 2)
    with_tumour = truth > 0
    strata = fitted.probabilities_of_logits(2 * fresh[with_tumour], Arm.HE)[:, 1:]
    strata /= strata.sum(1, keepdims=True)
    held = fitted.sets(strata, Arm.HE, tuple(Score))
    reached = held[np.arange(len(held)), truth[with_tumour] - 1].mean()
    assert reached > 0.8 - 0.04
    assert held.mean() < 0.9
