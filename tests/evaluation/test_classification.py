import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_her2.evaluation.classification import (
    above_chance,
    accuracy,
    balanced_accuracy,
    chance_accuracy,
    confusions_by_slide,
    cut_offs,
    macro_f1,
    majority_accuracy,
    per_class,
    weighted_kappa,
    with_intervals,
)

BCI = np.array([38.0, 235, 446, 258])


def test_the_majority_class_of_bci_gives_the_numbers_of_the_specification():
    said = np.zeros((4, 4))
    said[:, 2] = BCI
    assert float(accuracy(said)) == pytest.approx(0.4565, abs=5e-5)
    assert float(macro_f1(said)) == pytest.approx(0.1567, abs=5e-5)
    assert float(majority_accuracy(said)) == pytest.approx(0.4565, abs=5e-5)
    assert float(above_chance(said)) == pytest.approx(0)
    assert float(balanced_accuracy(said)) == 0.25


def test_kappa_gives_a_worked_example():
    # Cohen 1968 by hand: seen disagreement 20 + 4 * 4, by chance 63.2
    confusion = np.array([[20.0, 5, 2], [3, 15, 4], [2, 8, 21]])
    n = confusion.sum()
    apart = np.array([[0, 1, 4], [1, 0, 1], [4, 1, 0]])
    by_chance = (np.outer(confusion.sum(1), confusion.sum(0)) * apart).sum() / n
    by_hand = 1 - (confusion * apart).sum() / by_chance
    assert float(weighted_kappa(confusion)) == pytest.approx(by_hand)
    linear = weighted_kappa(np.array([[2.0, 1], [1, 2]]), power=1)
    assert float(linear) == pytest.approx(1 / 3)  # unweighted for two classes


def test_a_single_class_has_no_kappa():
    assert np.isnan(weighted_kappa(np.diag([5.0, 0, 0])))


@given(arrays(float, (4, 4), elements=st.integers(0, 30).map(float)))
def test_metrics_of_a_stack_are_those_of_its_members(confusion):
    confusion = confusion + np.eye(4)
    stack = np.stack([confusion, confusion.T, np.eye(4)])
    for metric in (accuracy, macro_f1, weighted_kappa, chance_accuracy):
        each = [float(metric(one)) for one in stack]
        assert np.asarray(metric(stack)).tolist() == pytest.approx(each)
    assert 0 <= accuracy(confusion) <= 1
    assert weighted_kappa(confusion) <= 1 + 1e-12


def test_macro_f1_leaves_out_classes_without_truth():
    confusion = np.zeros((3, 3))
    confusion[0, 0] = confusion[1, 1] = 4
    assert float(macro_f1(confusion)) == 1


def test_confusions_are_counted_by_slide():
    truth, calls = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    by_slide = confusions_by_slide(truth, calls, np.array([7, 7, 8, 8]), 3)
    assert by_slide.shape == (2, 3, 3)
    assert by_slide[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert with_intervals(by_slide, seed=1)["accuracy"][0] == 0.75


def test_per_class_intervals_hold_their_value():
    confusion = np.array([[8.0, 2], [1, 9]])
    first = per_class(confusion, ("0", "1+"))[0]
    assert first["precision"][0] == pytest.approx(8 / 9, abs=1e-5)
    assert first["recall"][0] == 0.8
    assert first["f1"][0] == pytest.approx(16 / 19, abs=1e-5)
    assert first["f1"][1] < first["f1"][0] < first["f1"][2]


def test_cut_offs_split_the_ladder():
    confusion = np.array([[5.0, 1, 0], [2, 6, 1], [0, 1, 9]])
    low, high = cut_offs(confusion, ("0", "0+", "1+"))
    assert low["cut_off"] == "0|0+"
    assert low["positive_agreement"][0] == pytest.approx(17 / 19, abs=1e-5)
    assert high["negative_agreement"][0] == pytest.approx(14 / 15, abs=1e-5)
    assert high["overall_agreement"][0] == pytest.approx(23 / 25, abs=1e-5)
