"""Control tissue is boxed on the IHC, in its pixels, one box for each score."""

import numpy as np
import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import ControlMark
from napari_her2.core.score import Score
from napari_her2.viewer.roles import Role, find

CORNERS = np.array([[40.2, 60.0], [40.2, 160.7], [120.9, 160.7], [120.9, 60.0]])
BOX = BoxPx(40, 60, 121, 161)


@pytest.fixture
def named(open_desk):
    open_desk.session.state.reader_name = "Dr A"
    return open_desk


def layer_of(desk):
    return find(desk.viewer.layers, Role.CONTROLS)


def draw(desk, qtbot, score, corners=CORNERS):
    desk.controls.start(score)
    layer = layer_of(desk)
    assert layer.mode == "add_rectangle"
    assert desk.viewer.layers.selection.active is layer
    layer.add_rectangles(corners)
    qtbot.wait(20)


def test_a_drawn_box_is_a_mark_on_the_ihc(named, qtbot):
    assert layer_of(named) is None
    draw(named, qtbot, Score.THREE)
    assert named.session.state.controls == (ControlMark(Score.THREE, BOX),)
    layer, ihc = layer_of(named), find(named.viewer.layers, Role.IHC)
    assert layer.mode == "pan_zoom"
    assert named.controls.awaited is None
    assert list(layer.features["score"]) == ["3+"]
    corner = layer.data_to_world(layer.data[0][0])
    assert corner == pytest.approx(ihc.data_to_world((39.5, 59.5)), abs=1e-6)


def test_marks_follow_the_session_and_undo_what_else_is_done_to_them(named, qtbot):
    draw(named, qtbot, Score.ZERO)
    draw(named, qtbot, Score.THREE, CORNERS + 30)
    layer = layer_of(named)
    assert list(layer.features["score"]) == ["0", "3+"]
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.wait(20)
    assert len(layer_of(named).data) == len(named.session.state.controls) == 2
    named.session.quality.clear_controls()
    qtbot.wait(20)
    assert layer_of(named) is None


def test_a_box_beside_the_slide_is_refused_in_words(named, qtbot):
    draw(named, qtbot, Score.ONE, CORNERS - 5000)
    assert named.session.state.notice.is_error
    assert named.session.state.controls == ()
    assert layer_of(named) is None


def test_stopping_and_closing_leave_no_layer(named, qtbot):
    named.controls.start(Score.ONE)
    named.controls.stop()
    assert layer_of(named) is None
    draw(named, qtbot, Score.ONE)
    named.controls.start(Score.ZERO)
    named.close_case()
    assert layer_of(named) is None
    assert named.controls.awaited is None


def test_lines_keep_their_width_on_screen(named, qtbot):
    draw(named, qtbot, Score.ONE)
    before = layer_of(named).edge_width[0]
    named.viewer.scene.camera.zoom *= 4
    assert layer_of(named).edge_width[0] == pytest.approx(before / 4)
