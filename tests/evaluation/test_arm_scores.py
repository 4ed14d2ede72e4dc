import numpy as np
import pytest

from napari_her2.evaluation.arm_scores import arm_scores, difference
from napari_her2.evaluation.probabilities import SharedClasses


def said(calls: np.ndarray, sure: float = 0.9) -> np.ndarray:
    rest = (1 - sure) / 5
    probabilities = np.full((len(calls), 6), rest)
    probabilities[np.arange(len(calls)), calls] = sure
    return probabilities


@pytest.fixture
def truth():
    return np.arange(120) % 6


SLIDES = np.arange(120) // 4


def test_a_perfect_arm(truth, classes: SharedClasses):
    scores = arm_scores(said(truth), truth, SLIDES, classes)
    assert scores["accuracy"] == [1, 1, 1]
    assert scores["majority_accuracy"] == round(20 / 120, 5)
    strata = scores["strata"]
    assert strata["n_regions"] == 100
    assert strata["quadratic_kappa"][0] == 1
    assert strata["direction"]["under_calls"] == 0
    assert strata["direction"]["missed_tumour"] == 0
    assert set(strata["decision_curves"]) == {
        "T-DXd eligible, 1+ or more",
        "T-DXd eligible, 0+ or more",
        "send to ISH, 2+",
    }


def test_missed_tumour_is_no_stratum(truth, classes: SharedClasses):
    """Calls of no tumour leave kappa alone and are counted."""
    calls = truth.copy()
    calls[truth == 3] = 0
    scores = arm_scores(said(calls), truth, SLIDES, classes)
    assert scores["accuracy"][0] == round(100 / 120, 5)
    assert scores["strata"]["quadratic_kappa"][0] == 1
    assert scores["strata"]["direction"]["missed_tumour"] == 20


def test_a_difference_is_taken_on_the_same_regions(truth, classes: SharedClasses):
    rng = np.random.default_rng(0)
    worse = truth.copy()
    wrong = rng.choice(120, 30, replace=False)
    worse[wrong] = (worse[wrong] + 1) % 6
    found = difference(said(truth), said(worse), truth, SLIDES)
    assert found.value == 0.25
    assert 0 < found.low < 0.25 < found.high
    assert difference(said(worse), said(worse), truth, SLIDES).to_json() == [0, 0, 0]


def test_regions_without_tumour_only_give_no_strata(classes: SharedClasses):
    truth = np.zeros(8, int)
    scores = arm_scores(said(truth), truth, np.arange(8), classes)
    assert scores["strata"] == {"n_regions": 0}
