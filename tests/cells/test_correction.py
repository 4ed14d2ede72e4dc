"""A reader's word on a cell holds for its place, and the last word holds."""

import numpy as np
import pytest

from napari_her2.cells.call import call_cells
from napari_her2.cells.correction import CellCorrection, correct_cells
from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.membrane import MembranePattern, PatternCounts
from napari_her2.core.score import Score

MPP = 0.5


def test_verdicts_are_patterns_by_name_and_two_that_are_none():
    assert [CellVerdict.of(pattern).pattern for pattern in MembranePattern] == list(
        MembranePattern
    )
    others = [verdict for verdict in CellVerdict if verdict.pattern is None]
    assert others == [CellVerdict.NOT_TUMOUR, CellVerdict.WITHDRAWN]


def test_a_cell_is_reclassified_where_it_lies(make_cells):
    cells = make_cells(0, 1, 4)
    corrected = correct_cells(
        cells, [CellCorrection(0.0, 24.0, CellVerdict.COMPLETE_WEAK_MODERATE)], MPP
    )
    assert corrected.cells["pattern"].to_pylist() == [0, 3, 4]
    assert corrected.cells["intensity"].to_pylist() == [0, 2, 4], "least that fits"
    assert corrected.judged.tolist() == [False, True, False]
    assert corrected.confirmed == PatternCounts(complete_weak_moderate=1)
    assert corrected.cells.schema == cells.schema


def test_a_rejected_cell_is_counted_no_more(make_cells):
    corrected = correct_cells(
        make_cells(0, 4), [CellCorrection(0.0, 20.0, CellVerdict.NOT_TUMOUR)], MPP
    )
    assert corrected.cells["is_tumour"].to_pylist() == [True, False]
    assert corrected.confirmed == PatternCounts()


def test_the_last_word_holds_and_can_be_taken_back(make_cells):
    words = [
        CellVerdict.NOT_TUMOUR,
        CellVerdict.COMPLETE_INTENSE,
        CellVerdict.WITHDRAWN,
    ]
    said = [CellCorrection(0.0, 20.0, word) for word in words]
    cells = make_cells(0, 1)
    assert correct_cells(cells, said[:2], MPP).cells["pattern"].to_pylist() == [0, 4]
    taken_back = correct_cells(cells, said, MPP)
    assert taken_back.cells.equals(cells)
    assert not taken_back.judged.any()


@pytest.mark.parametrize("n", [0, 3])
def test_a_place_that_was_not_read_is_passed_over(make_cells, n):
    cells = make_cells(*[0] * n)
    far = CellCorrection(900.0, 900.0, CellVerdict.COMPLETE_INTENSE)
    assert correct_cells(cells, [far], MPP).cells.equals(cells)


def test_one_confirmed_cell_makes_ultralow_of_what_errors_could_explain(make_cells):
    cells = make_cells(*[0] * 499, 1)
    assert call_cells(cells, MPP).reading.call is Score.ZERO
    last = cells["y_px"][499].as_py(), cells["x_px"][499].as_py()
    corrected = correct_cells(
        cells, [CellCorrection(*last, CellVerdict.FAINT_INCOMPLETE)], MPP
    )
    reading = call_cells(corrected.cells, MPP, confirmed=corrected.confirmed).reading
    assert reading.call is Score.ULTRALOW
    assert np.isclose(reading.shares[1].value, 1 / 500)
