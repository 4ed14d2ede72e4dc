"""The gallery holds the cells that decide, and none that is no tumour cell."""

import numpy as np

from napari_her2.cells.behind import EACH, FEW, cells_behind
from napari_her2.cells.call import call_cells
from napari_her2.core.score import Score

MPP = 0.5


def groups_of(cells):
    reading = call_cells(cells, MPP).reading
    return reading.call, cells_behind(cells, reading)


def test_for_0_against_ultralow_it_is_the_few_stained_cells(make_cells):
    call, (group,) = groups_of(make_cells(*[0] * 190, *[1] * 9, 2))
    assert call is Score.ULTRALOW
    assert group.rows[0] == 199, "the strongest first"
    assert set(group.rows) == set(range(190, 200))
    _, (many,) = groups_of(make_cells(*[0] * 482, *[1] * 18))
    assert len(many.rows) == FEW


def test_for_three_plus_it_is_the_most_and_the_least_complete(make_cells):
    completeness = np.linspace(0.72, 1, 200)
    cells = make_cells(*[0] * 100, *[4] * 100, completeness=completeness)
    call, (most, least) = groups_of(cells)
    assert call is Score.THREE
    assert most.rows == (199, 198, 197, 196)
    assert least.rows == (100, 101, 102, 103)


def test_the_ends_share_no_cell(make_cells):
    _, groups = groups_of(make_cells(*[0] * 40, *[4] * 6))
    rows = [row for group in groups for row in group.rows]
    assert len(rows) == len(set(rows)) <= 2 * EACH


def test_without_a_stained_cell_it_is_what_comes_closest(make_cells):
    completeness = np.zeros(150)
    completeness[7] = 0.2
    call, (group,) = groups_of(make_cells(*[0] * 150, completeness=completeness))
    assert call is Score.ZERO
    assert group.rows == (7,)


def test_a_cell_that_is_no_tumour_cell_is_not_shown(make_cells):
    is_tumour = np.ones(200, bool)
    is_tumour[199] = False
    _, groups = groups_of(make_cells(*[0] * 198, 1, 4, is_tumour=is_tumour))
    assert all(199 not in group.rows for group in groups)


def test_no_cells_give_no_group(make_cells):
    _, groups = groups_of(make_cells())
    assert groups == ()
