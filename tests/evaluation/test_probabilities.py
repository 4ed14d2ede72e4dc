import numpy as np
import pytest

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Score
from napari_her2.evaluation.probabilities import share_classes
from napari_her2.models.card import NO_TUMOUR

FIVE = ("0", "0+", "1+", "2+", "3+")


def test_the_same_classes_stay_as_they_are():
    shared = share_classes((NO_TUMOUR, *FIVE), (NO_TUMOUR, *FIVE))
    assert shared.names == (NO_TUMOUR, *FIVE)
    assert shared.strata == tuple(Score)
    assert shared.strata_columns == [1, 2, 3, 4, 5]
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]]))
    assert shared.probabilities(logits)[0].tolist() == pytest.approx(
        [0.1, 0.2, 0.3, 0.1, 0.1, 0.2]
    )


def test_four_classes_do_not_separate_ultralow():
    shared = share_classes((NO_TUMOUR, *FIVE), ("0", "1+", "2+", "3+"))
    assert shared.names == (NO_TUMOUR, "0", "1+", "2+", "3+")
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]]))
    assert shared.probabilities(logits)[0].tolist() == pytest.approx(
        [0.1, 0.5, 0.1, 0.1, 0.2]
    )
    assert shared.truth(np.array([0, 3])).tolist() == [1, 4]


def test_ultralow_truths_become_zero_for_a_four_class_bundle():
    shared = share_classes(("0", "1+", "2+", "3+"), FIVE)
    assert shared.truth(np.array([0, 1, 2])).tolist() == [0, 0, 1]


def test_strange_classes_are_refused():
    with pytest.raises(UsageError, match="lobular"):
        share_classes(FIVE, ("lobular",))
