"""Squares of 100 µm with the share of their tumour cells that are stained."""

import numpy as np
import pyarrow as pa
import pytest

from napari_her2.cells.share_map import share_map
from napari_her2.cells.table import no_cells
from napari_her2.core.membrane import MembranePattern

MPP = 0.5
INTENSE = (MembranePattern.COMPLETE_INTENSE,)


def cells(places_um, pattern, is_tumour=None):
    n = len(pattern)
    y, x = np.array(places_um, float).T / MPP
    schema = no_cells().schema
    columns = {field.name: pa.nulls(n, field.type) for field in schema}
    columns |= {
        "y_px": pa.array(y),
        "x_px": pa.array(x),
        "pattern": pa.array(np.array(pattern, np.int8)),
        "is_tumour": pa.array(np.ones(n, bool) if is_tumour is None else is_tumour),
    }
    return pa.table(columns, schema=schema)


def test_each_square_has_the_share_of_its_own_cells():
    places = [(250.0, 310.0)] * 10 + [(250.0, 499.0)] * 20
    found = share_map(cells(places, [4] * 3 + [0] * 7 + [4] * 20), MPP, INTENSE)
    assert found.corner_um == (200.0, 300.0)
    assert found.shares.shape == (1, 2)
    assert found.shares[0] == pytest.approx([0.3, 1.0])


def test_other_patterns_and_what_is_no_tumour_do_not_count():
    places = [(10.0, 10.0)] * 20
    is_tumour = np.arange(20) < 10
    table = cells(places, [4] + [1] * 4 + [0] * 5 + [4] * 10, is_tumour)
    assert share_map(table, MPP, INTENSE).shares[0, 0] == pytest.approx(0.1)
    stained = tuple(MembranePattern)[1:]
    assert share_map(table, MPP, stained).shares[0, 0] == pytest.approx(0.5)


def test_few_cells_have_no_share_and_no_cells_no_map():
    found = share_map(cells([(10.0, 10.0)] * 9, [4] * 9), MPP, INTENSE)
    assert np.isnan(found.shares).all()
    assert np.isnan(found.steps).all()
    assert share_map(no_cells(), MPP, INTENSE) is None


@pytest.mark.parametrize(("hits", "step"), [(0, 0), (1, 1), (10, 1), (11, 2), (61, 4)])
def test_a_step_begins_above_its_edge(hits, step):
    table = cells([(10.0, 10.0)] * 100, [4] * hits + [0] * (100 - hits))
    assert share_map(table, MPP, INTENSE).steps[0, 0] == step
