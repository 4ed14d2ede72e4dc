import numpy as np
import pytest

from napari_her2.core.membrane import MembranePattern
from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.evaluation.arm_tables import calls_table
from napari_her2.evaluation.near_cut_off import (
    EXPLANATION,
    clear_regions,
    clear_scores,
    is_near,
)
from napari_her2.evaluation.regions import Geometry, Regions


def counts(n=200, **stained):
    """Cells by pattern: so many stained ones, the rest of n without staining."""
    given = [stained.get(pattern.name.lower(), 0) for pattern in MembranePattern]
    given[MembranePattern.NONE] = n - sum(given)
    return given


@pytest.mark.parametrize(
    ("cells", "near"),
    [
        (counts(), False),  # nothing is stained
        (counts(faint_incomplete=3), True),  # 0 of 200 would reach 3.8
        (counts(faint_incomplete=4), False),
        (counts(faint_incomplete=20), True),  # 10 %
        (counts(faint_incomplete=100), False),
        (counts(complete_intense=20), True),
        (counts(complete_intense=100), False),
        (counts(complete_intense=2, faint_incomplete=100), True),  # 2+ or 1+
        (counts(complete_weak_moderate=22), True),
        (counts(incomplete_moderate_intense=18, faint_incomplete=90), True),
        # what is 3+ beyond doubt is so whatever else there is
        (counts(complete_intense=100, complete_weak_moderate=20), False),
        (counts(n=9, faint_incomplete=1), False),  # too few cells for any score
    ],
)
def test_what_is_near(cells, near):
    assert is_near(cells) is near


class CountedTiles:
    """Cells on a grid of 4 x 4 squares, one of them halo on each side."""

    classes = tuple(score.value for score in Score)

    def __init__(self):
        self.cells = np.zeros((4, 4, 4, len(MembranePattern)), np.uint8)
        inside = (slice(None), slice(1, 3), slice(1, 3))
        self.cells[*inside, MembranePattern.NONE] = 50
        self.cells[1, 1, 1, MembranePattern.FAINT_INCOMPLETE] = 2
        self.cells[2, 0, 0, MembranePattern.FAINT_INCOMPLETE] = 2  # in the halo
        self.slides = np.arange(4)
        self.labels = np.zeros((4, 5), np.int8)


def test_the_cells_of_the_core_are_counted(regions):
    tiles = CountedTiles()
    some = Regions(tiles, np.array([1, 2, 3]), Geometry(32, 16, 0.5), "", "", "")
    assert some.cells(0) == counts(n=202, faint_incomplete=2)
    assert some.cells(1) == counts(n=200)
    assert np.array_equal(clear_regions(some), [False, True, True])
    assert clear_regions(regions) is None  # painted tiles know no cells


def test_they_stand_beside_the_accuracy_of_all():
    truth = np.array([0, 1, 2, 0])
    said = {
        Arm.BOTH.value: np.eye(3)[[0, 1, 0, 1]],
        Arm.HE.value: np.eye(3)[[1, 1, 1, 0]],
    }
    clear = np.array([True, True, True, False])
    found = clear_scores(said, truth, np.arange(4), clear)
    assert found is not None
    assert (found["n_regions"], found["n_near"]) == (3, 1)
    assert found["accuracy"][Arm.BOTH][0] == pytest.approx(2 / 3, abs=1e-5)
    assert found["accuracy"][Arm.HE][0] == pytest.approx(1 / 3, abs=1e-5)
    assert found["both_minus"] == {Arm.HE.value: found["both_minus"][Arm.HE]}
    assert found["majority_accuracy"] == pytest.approx(1 / 3, abs=1e-5)
    assert clear_scores(said, truth, np.arange(4), None) is None
    whole = {
        "accuracy": [0.5, 0.4, 0.6],
        "macro_f1": None,
        "strata": {},
        "majority_accuracy": 0.5,
        "majority_macro_f1": 0.2,
    }
    data = {
        "n_regions": 4, "region_px": 32, "n_slides": 4, "majority_class": "0",
        "majority_accuracy": 0.5, "split": "", "seeds": "",
    }  # fmt: skip
    bundle = {
        "name": "b", "version": "1", "sha256": "0" * 64, "training_seed": 1,
        "backend": "torch-fp32",
    }  # fmt: skip
    part = {
        "data": data,
        "scores": {Arm.BOTH: whole, Arm.HE: whole},
        "both_minus": {},
        "clear": found,
    }
    table = calls_table({"bundle": bundle, "arms": part})
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["H&E and IHC"] == [0.5, 0.4, 0.6]
    among = "H&E and IHC, among the 3 clear of every cut-off"
    assert rows[among] == found["accuracy"][Arm.BOTH]
    assert EXPLANATION in table.note
