import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.calibration import (
    Calibration,
    adaptive_scores,
    conformal_quantile,
    softmax,
)

STRATA = tuple(Score)


def regions(rng, n):
    """Exchangeable regions whose probabilities are right up to a temperature."""
    logits = 1.5 * rng.standard_normal((n, len(STRATA)))
    below = softmax(logits).cumsum(1) < rng.uniform(size=(n, 1))
    truth = below.sum(1).clip(max=len(STRATA) - 1)
    return softmax(2.5 * logits), truth


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_sets_hold_the_truth_as_often_as_asked(alpha):
    rng = np.random.default_rng(round(1000 * alpha))
    repeats, n, m = 60, 300, 200
    by_score = by_set = 0
    for _ in range(repeats):
        seen, truth = regions(rng, n + m)
        scores = adaptive_scores(seen)[np.arange(n + m), truth]
        quantile = conformal_quantile(scores[:n], alpha)
        held = Calibration(alpha, quantile={Arm.HE: quantile}).sets(
            seen[n:], Arm.HE, STRATA
        )
        by_score += int((scores[n:] <= quantile).sum())
        by_set += int(held[np.arange(m), truth[n:]].sum())
    # the coverage of one calibration is Beta distributed, and so its mean close
    spread = np.sqrt(alpha * (1 - alpha) * (1 / (repeats * n) + 1 / (repeats * m)))
    assert by_score / (repeats * m) == pytest.approx(1 - alpha, abs=3.5 * spread)
    assert by_set >= by_score


@given(
    st.lists(st.floats(0.01, 1), min_size=5, max_size=5),
    st.floats(0.01, 0.98),
    st.floats(0.001, 0.9),
    st.integers(0, 99),
)
def test_a_larger_alpha_gives_a_subset(weights, alpha, more, seed):
    probabilities = np.array(weights) / sum(weights)
    scores = np.random.default_rng(seed).uniform(size=50)
    given_pairs = list(zip(STRATA, probabilities.tolist(), strict=True))
    wide, narrow = (
        Calibration(a, quantile={Arm.BOTH: conformal_quantile(scores, a)})
        for a in (alpha, min(alpha + more, 0.99))
    )
    smaller = narrow.prediction_set(given_pairs, Arm.BOTH)
    assert set(smaller) <= set(wide.prediction_set(given_pairs, Arm.BOTH))
    assert STRATA[int(probabilities.argmax())] in smaller


@given(st.permutations(range(5)), st.lists(st.floats(0.01, 1), min_size=5, max_size=5))
def test_the_order_of_the_classes_does_not_matter(order, weights):
    probabilities = np.array(weights) / sum(weights)
    scores = adaptive_scores(probabilities[None])[0]
    np.testing.assert_allclose(
        adaptive_scores(probabilities[None, list(order)])[0], scores[list(order)]
    )


def test_temperature_acts_on_probabilities_as_on_logits():
    logits = np.array([[2.0, -1.0, 0.5], [300.0, -300.0, 0.0]])
    calibration = Calibration(0.1, temperature={Arm.IHC: 2.5})
    from_logits = calibration.probabilities_of_logits(logits, Arm.IHC)
    np.testing.assert_allclose(
        calibration.probabilities(softmax(logits), Arm.IHC), from_logits, atol=1e-12
    )
    np.testing.assert_allclose(from_logits[0], softmax(logits[0] / 2.5))
    # an arm without a temperature is left as it is
    np.testing.assert_allclose(
        calibration.probabilities(softmax(logits), Arm.HE), softmax(logits), atol=1e-12
    )


def test_an_arm_that_was_never_calibrated_rules_nothing_out():
    sure = [(score, 0.96 if score is Score.TWO else 0.01) for score in STRATA]
    assert Calibration(0.1).prediction_set(sure, Arm.BOTH) == STRATA
    assert Calibration(0.1).prediction_set([], Arm.BOTH) == ()


def test_quantiles_per_class_replace_that_of_the_arm():
    calibration = Calibration(
        0.1,
        quantile={Arm.BOTH: 0.5},
        class_quantile={Arm.BOTH: {Score.ULTRALOW: 1.0}},
    )
    seen = [(Score.ZERO, 0.6), (Score.ULTRALOW, 0.1), (Score.ONE, 0.3)]
    held = calibration.prediction_set(seen, Arm.BOTH)
    assert held == (Score.ZERO, Score.ULTRALOW)


def test_a_card_keeps_everything():
    calibration = Calibration(
        0.1,
        temperature={Arm.BOTH: 1.3},
        quantile={Arm.BOTH: 0.9, Arm.HE: 1.0},
        class_quantile={Arm.HE: {Score.ONE: 0.7}},
        coverage_reached={Arm.BOTH: 0.91},
    )
    text = json.dumps(calibration.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == calibration


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"alpha": 0},
        {"alpha": 0.1, "temperature": {"H&E and IHC": 0}},
        {"alpha": 0.1, "temperature": {"H&E and IHC": float("nan")}},
        {"alpha": 0.1, "quantile": {"H&E and IHC": 1.2}},
        {"alpha": 0.1, "quantile": {"a crystal ball": 0.5}},
    ],
)
def test_nonsense_in_a_card_is_refused(values):
    with pytest.raises((KeyError, ValueError)):
        Calibration.from_dict(values)
