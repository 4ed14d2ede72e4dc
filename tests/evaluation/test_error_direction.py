import numpy as np

from napari_her2.core.score import Score
from napari_her2.evaluation.error_direction import (
    COSTS,
    direction_of_errors,
    low_subgroup,
)


def test_costs_are_named_as_in_the_clinical_specification():
    assert COSTS[Score.THREE, Score.TWO] == "costs an ISH"
    assert COSTS[Score.ULTRALOW, Score.ZERO] == "loses HER2-ultralow"
    assert COSTS[Score.ZERO, Score.ULTRALOW] == "over-treats"


def test_under_and_over_calls_are_counted_with_their_costs():
    strata = np.zeros((5, 6))
    strata[4, 3] = 3  # 3+ called 2+
    strata[1, 0] = 2  # 0+ called 0
    strata[0, 1] = 1  # 0 called 0+
    strata[0, 4] = 1  # 0 called 3+: no name
    strata[2, 5] = 4  # 1+ called no tumour
    strata[np.arange(5), np.arange(5)] += 10
    found = direction_of_errors(strata)
    assert found["under_calls"] == 5
    assert found["over_calls"] == 2
    assert found["missed_tumour"] == 4
    assert found["n_regions_with_tumour"] == 61
    by_meaning = {cost["meaning"]: cost for cost in found["costs"]}
    assert by_meaning["costs an ISH"]["count"] == 3
    assert by_meaning["costs an ISH"]["share_of_truth"][0] == round(3 / 13, 5)
    assert found["other_errors"] == [{"truth": "0", "call": "3+", "count": 1}]
    assert found["mean_step"] == round((4 + 1 - 5) / 57, 4)


def test_the_low_subgroup_takes_low_truths_only():
    strata = np.zeros((5, 6))
    strata[0, :2] = 6, 2
    strata[1, :2] = 3, 1
    strata[4, 0] = 99
    found = low_subgroup(strata)
    assert found["n_regions"] == 12
    assert found["accuracy"][0] == round(7 / 12, 5)
    assert found["ultralow_called_zero"][0] == 0.75
    assert found["zero_called_ultralow_or_more"][0] == 0.25
    assert found["recall"]["1+"] == [None, None, None]
