"""A button for each control score, once a reader is named and an IHC is open."""

import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score
from napari_her2.widgets.control_marks import NO_READER, ControlMarks


@pytest.fixture
def marks(open_desk, qtbot):
    made = ControlMarks(open_desk)
    qtbot.addWidget(made)
    made.show()
    return made


def test_nobody_marks_without_a_name(marks):
    marks.session.state.reader_name = ""
    assert not marks.buttons[Score.ONE].isEnabled()
    assert marks.buttons[Score.ONE].toolTip() == NO_READER


def test_a_button_waits_for_a_box_and_says_so(marks):
    marks.session.state.reader_name = "Dr A"
    button = marks.buttons[Score.ONE]
    button.click()
    assert marks.desk.controls.awaited is Score.ONE
    assert button.isChecked()
    assert "1+" in marks.hint.text()
    assert marks.hint.isVisible()
    button.click()
    assert marks.desk.controls.awaited is None
    assert not marks.hint.isVisible()


def test_marks_are_ticked_and_cleared(marks):
    marks.session.state.reader_name = "Dr A"
    assert not marks.clear.isVisible()
    marks.session.quality.mark_control(Score.THREE, BoxPx(0, 0, 90, 90))
    assert "✓" in marks.buttons[Score.THREE].text()
    assert "✓" not in marks.buttons[Score.ZERO].text()
    marks.clear.click()
    assert marks.session.state.controls == ()


def test_a_case_without_an_ihc_has_no_buttons(marks, virtual_case):
    he = virtual_case.parent / "he.ome.tif"
    marks.desk.open_slides(he)
    assert not marks.isVisible()
