import numpy as np
import pytest

from napari_her2.training.scoring import confusion_of, confusion_scores


def test_a_perfect_and_a_constant_caller():
    perfect = confusion_scores(np.diag([5, 3, 2]))
    assert perfect["accuracy"] == perfect["macro_f1"] == 1
    assert perfect["majority_baseline"] == 0.5
    constant = np.zeros((3, 3), int)
    constant[:, 0] = 5, 3, 2
    scores = confusion_scores(constant)
    assert scores["accuracy"] == scores["majority_baseline"] == 0.5
    assert scores["macro_f1"] == pytest.approx(2 * 5 / 15 / 3, abs=1e-4)
    assert scores["n_tiles"] == 10


def test_a_class_that_never_occurs_takes_no_part():
    scores = confusion_scores(np.array([[4, 0, 0], [0, 4, 0], [0, 0, 0]]))
    assert scores["macro_f1"] == 1
    assert set(scores["f1_per_class"]) == {"no invasive tumour", "0"}


def test_calls_are_counted_by_truth():
    confusion = confusion_of(np.array([0, 2, 2]), np.array([0, 2, 5]))
    assert confusion[0, 0] == confusion[2, 2] == confusion[2, 5] == 1
    assert confusion.sum() == 3
