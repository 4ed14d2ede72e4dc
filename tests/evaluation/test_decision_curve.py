import numpy as np
import pytest

from napari_her2.evaluation.decision_curve import decision_curve, net_benefit


def test_net_benefit_is_the_one_of_the_specification():
    assert net_benefit(20, 10, 100, 0.2) == pytest.approx(0.175)
    assert net_benefit(0, 0, 100, 0.4) == 0


def test_acting_on_all_follows_the_prevalence():
    event = np.arange(10) < 3
    curve = decision_curve(np.ones(10), event, np.arange(10), draws=20)
    at = curve["threshold"].index(0.2)
    assert curve["act_on_all"][at] == pytest.approx(0.3 - 0.7 * 0.25)
    assert curve["net_benefit"] == curve["act_on_all"]
    assert curve["share_of_thresholds_better"] == 0


def test_a_perfect_probability_is_better_everywhere():
    event = np.arange(40) % 2 == 0
    curve = decision_curve(event.astype(float), event, np.arange(40) // 4, draws=50)
    assert set(curve["net_benefit"]) == {0.5}
    assert curve["share_of_thresholds_better"] == 1
    assert all(
        low <= value <= high
        for low, value, high in zip(
            curve["low"], curve["net_benefit"], curve["high"], strict=True
        )
    )
