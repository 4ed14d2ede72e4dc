import numpy as np
import pytest

from napari_her2.training.scoring import confusion_scores, mean_dab


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


def test_brown_has_more_dab_than_blue_and_white_has_none():
    def flat(*colour: int) -> np.ndarray:
        return np.full((8, 8, 3), colour, np.uint8)

    assert mean_dab(flat(120, 70, 30)) > 5 * mean_dab(flat(120, 130, 200))
    assert mean_dab(flat(255, 255, 255)) == pytest.approx(0, abs=1e-6)
