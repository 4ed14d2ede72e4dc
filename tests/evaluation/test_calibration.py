import numpy as np
import pytest

from napari_her2.evaluation.calibration import (
    brier,
    calibration_scores,
    classwise_error,
    coverage,
    ranked_probability_score,
    reliability,
)


@pytest.fixture
def honest():
    """Ten thousand rows whose probabilities are exactly true."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((1.0, 1.0, 1.0), 10_000)
    truth = (rng.random((10_000, 1)) > probabilities.cumsum(1)).sum(1)
    return probabilities, np.minimum(truth, 2), np.arange(10_000) // 20


def test_true_probabilities_have_no_calibration_error(honest):
    probabilities, truth, slides = honest
    error, low, high = classwise_error(probabilities, truth, slides)
    assert low <= error <= high
    assert error < 0.01
    for row in reliability(probabilities, truth):
        if row["n"] > 300:
            assert row["mean_probability"] == pytest.approx(row["right"][0], abs=0.05)


def test_overconfidence_is_seen(honest):
    probabilities, truth, slides = honest
    bold = probabilities**4
    bold /= bold.sum(1, keepdims=True)
    assert classwise_error(bold, truth, slides)[0] > 0.08
    honest_scores = calibration_scores(probabilities, truth, slides)
    assert calibration_scores(bold, truth, slides)["brier"] > honest_scores["brier"]


def test_certainty_scores_by_its_distance():
    sure = np.eye(4)[[0, 1, 2, 3]]
    truth = np.array([0, 0, 0, 0])
    assert ranked_probability_score(sure, truth).tolist() == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert brier(sure, truth).tolist() == [0, 2, 2, 2]
    even = np.full((1, 4), 0.25)
    assert brier(even, np.array([1]))[0] == 0.75


def test_coverage_is_counted_per_class():
    held = np.array([[1, 1], [1, 0], [0, 1], [1, 0]], bool)
    truth = np.array([0, 0, 0, 1])
    found = coverage(held, truth, np.arange(4), ("0", "1+"))
    assert found["coverage"][0] == 0.5
    assert found["mean_size"] == 1.25
    assert found["share_of_single_sets"] == 0.75
    assert found["per_class"]["0"]["coverage"][0] == pytest.approx(2 / 3, abs=1e-5)
    assert found["per_class"]["1+"]["coverage"][0] == 0
