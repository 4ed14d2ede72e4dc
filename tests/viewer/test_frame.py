from typing import ClassVar

import numpy as np

from napari_her2.viewer.frame import outline
from napari_her2.viewer.overlay_layers import frame_data

ROWS = np.array([0, 10, 20, 25])
COLS = np.array([0, 10, 30])


def length(pieces):
    return float(np.abs(pieces[:, 1]).sum())


def test_a_single_cell_has_four_sides_where_it_lies():
    filled = np.zeros((3, 2), bool)
    filled[1, 1] = True
    pieces = outline(filled, ROWS, COLS)
    assert length(pieces) == 2 * (10 + 20)
    ends = np.concatenate([pieces[:, 0], pieces.sum(axis=1)])
    assert ends.min(axis=0).tolist() == [10, 10]
    assert ends.max(axis=0).tolist() == [20, 30]


def test_neighbours_share_no_border():
    filled = np.ones((3, 2), bool)
    assert length(outline(filled, ROWS, COLS)) == 2 * (25 + 30)


def test_nothing_computed_has_no_border():
    assert outline(np.zeros((3, 2), bool), ROWS, COLS).shape == (0, 2, 2)


class _Grid:
    row_edges: ClassVar = [0, 10, 20]
    col_edges: ClassVar = [0, 10, 20]


class _Store:
    grid = _Grid()

    def __init__(self, done):
        self.is_synthesised = np.array(done, bool)


def test_a_border_that_gets_simpler_keeps_as_many_pieces():
    corner = frame_data(_Store([[1, 0], [0, 1]]))
    whole = frame_data(_Store([[1, 1], [1, 1]]), at_least=len(corner))
    assert len(whole) == len(corner) > 4
    assert len(np.unique(whole.reshape(len(whole), -1), axis=0)) == 4
