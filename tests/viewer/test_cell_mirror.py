"""Outlines of cells on the canvas beside the slide are those of the main viewer."""

import numpy as np
import pytest

from napari_her2.viewer.cell_layers import LINE_PX
from napari_her2.viewer.cell_mirror import CellMirror
from napari_her2.viewer.roles import Role, find
from napari_her2.viewer.twin import Twin


@pytest.fixture
def near_desk(read_desk):
    """The desk of made-up cells, looked at from near."""
    read_desk.cell_layers.fly_to(150)
    read_desk.cell_layers.draw()
    assert len(read_desk.cell_layers.outlines.data)
    return read_desk


def mirrored(twin):
    return find(twin.model.layers, Role.CELL_OUTLINES)


@pytest.fixture
def twin(near_desk):
    made = Twin(near_desk.viewer, Role.IHC)
    made.model.scene.camera.zoom = 5.0
    mirror = CellMirror(made, near_desk.cell_layers)
    yield made
    mirror.close()
    made.close()


def assert_alike(twin, desk):
    ours, theirs = mirrored(twin), desk.cell_layers.outlines
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.edge_color, theirs.edge_color)
    np.testing.assert_allclose(ours.affine.affine_matrix, theirs.affine.affine_matrix)


def test_the_outlines_are_there_in_their_colours_and_as_thin(twin, near_desk):
    assert_alike(twin, near_desk)
    assert mirrored(twin).edge_width == pytest.approx(LINE_PX / 5.0)
    assert twin.model.scene.camera.zoom == 5.0


def test_they_follow_the_view_the_selection_and_the_slide(twin, near_desk, qtbot):
    before = mirrored(twin).data.copy()
    near_desk.cell_layers.select(3)
    assert_alike(twin, near_desk)
    near_desk.cell_layers.fly_to(0)
    near_desk.cell_layers.draw()
    assert_alike(twin, near_desk)
    assert not np.array_equal(mirrored(twin).data[: len(before)], before)
    near_desk.session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    assert_alike(twin, near_desk)


def test_they_stay_while_the_main_viewer_shows_the_he(twin, near_desk):
    find(near_desk.viewer.layers, Role.IHC).visible = False
    assert not near_desk.cell_layers.outlines.visible
    assert mirrored(twin).visible


def test_what_may_not_be_shown_is_gone_there_too(twin, near_desk):
    near_desk.session.state.first_read_required = True
    near_desk.session.state.reader_name = "Dr New"
    near_desk.cell_layers.draw()
    assert mirrored(twin) is None
    near_desk.session.state.reader_name = "Dr Demo"
    near_desk.session.state.first_read_required = False
    near_desk.cell_layers.draw()
    assert_alike(twin, near_desk)


def test_they_lie_on_no_other_slide_and_go_with_the_case(near_desk, twin, qtbot):
    other = Twin(near_desk.viewer, Role.HE)
    mirror = CellMirror(other, near_desk.cell_layers)
    assert mirrored(other) is None
    near_desk.close_case()
    qtbot.waitUntil(lambda: len(twin.model.layers) == 0)
    mirror.close()
    other.close()
