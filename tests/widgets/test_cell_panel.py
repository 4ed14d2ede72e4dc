"""The panel says the call, what it rests on, and takes a reader's word."""

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_her2.app.cells_read import CellsFound
from napari_her2.app.control_use import CHANGED
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.review.events import CellCorrected, ControlsUsed
from napari_her2.widgets.cell_gallery import NOBODY
from napari_her2.widgets.cell_panel import NOTHING, CellPanel
from napari_her2.widgets.control_marks import NO_READER
from napari_her2.widgets.pattern_bars import ROW_PX


@pytest.fixture
def panel(read_desk, qtbot):
    made = CellPanel(read_desk)
    qtbot.addWidget(made)
    made.resize(320, 600)
    made.show()
    return made


def action(panel, pattern):
    return panel.gallery.correct.menu().actions()[4 - pattern]


def test_it_shows_the_call_its_sentence_and_the_cells_behind_it(panel):
    assert panel.head.call.text() == "3+"
    assert "Complete intense membrane in > 10 %" in panel.meaning.text()
    assert "160 tumour cells" in panel.count.text()
    assert "proposed by the software" in panel.count.text()
    assert [cell.row for cell in panel.gallery.cells] == [
        *range(159, 155, -1),
        *range(136, 140),
    ]
    assert "Complete intense 15.0 %" in panel.bars.accessibleDescription()
    assert panel.message.isHidden()


def test_a_click_on_a_cell_flies_there_and_lets_it_be_judged(panel):
    assert panel.gallery.selected.text() == NOBODY
    assert not panel.gallery.agree.isEnabled()
    panel.gallery.cells[0].click()
    assert panel.desk.cell_layers.selected == 159
    assert "Complete, intense" in panel.gallery.selected.text()
    panel.gallery.agree.click()
    assert "readers looked at 1" in panel.count.text()
    assert "a reader's word" in panel.gallery.selected.text()


def test_reclassifying_changes_the_call_at_once_and_is_journaled(panel):
    for row in range(136, 160):
        panel.desk.cell_layers.select(row)
        action(panel, MembranePattern.NONE).trigger()
    assert panel.head.call.text() == str(Score.TWO)
    journal = panel.session.cells._journal
    told = [e for e in journal.events() if isinstance(e, CellCorrected)]
    assert len(told) == 24
    assert {(e.reader.name, e.verdict.value) for e in told} == {
        ("Dr Demo", "no staining")
    }


def test_rejecting_takes_the_cell_out_and_undo_brings_it_back(panel):
    panel.gallery.cells[0].click()
    panel.gallery.reject.click()
    assert "159 tumour cells" in panel.count.text()
    assert 159 not in [cell.row for cell in panel.gallery.cells]
    panel.gallery.undo.click()
    assert "160 tumour cells, none looked at" in panel.count.text()
    assert not panel.gallery.undo.isEnabled()


def test_a_click_on_a_bar_hides_its_cells(panel):
    QTest.mouseClick(panel.bars, Qt.MouseButton.LeftButton, pos=QPoint(40, ROW_PX // 2))
    layers = panel.desk.cell_layers
    assert MembranePattern.COMPLETE_INTENSE not in layers.patterns
    assert len(layers.patterns) == 4
    QTest.mouseClick(panel.bars, Qt.MouseButton.LeftButton, pos=QPoint(40, ROW_PX // 2))
    assert len(layers.patterns) == 5


def test_without_a_name_nothing_is_shown_and_nothing_corrected(panel):
    panel.gallery.cells[0].click()
    panel.session.state.reader_name = ""
    assert panel._open.isHidden()
    assert "name" in panel.message.text()
    panel.gallery.reject.click()
    panel.session.state.reader_name = "Dr Demo"
    assert "160 tumour cells, none looked at" in panel.count.text()


def test_what_was_decided_is_told_again_on_another_day(panel):
    panel.session.reading.confirm()
    panel.session.state.cells = None
    assert panel.head.call.text() == "3+"
    assert "160 tumour cells" in panel.count.text()
    assert panel.gallery.isHidden()
    assert panel.read_again.isVisible()


def test_regions_stand_side_by_side_from_two_on(panel):
    assert panel.regions.isHidden()
    first = panel.session.state.cells
    outline = Region.from_box("r1", "Nest", BoxPx(90, 90, 200, 400))
    panel.session.set_regions((outline,))
    half = first.found.cells.slice(0, 80)
    panel.session.cells.absorb(CellsFound(outline, half, first.found.mpp))
    view = panel.regions.tree.topLevelItem
    assert panel.regions.isHidden(), "another view is gone from the list"
    panel.session.select(first.region.region_id)
    told = [[view(row).text(column) for column in range(8)] for row in range(2)]
    assert ["Nest", "80", "0", "0", "0", "20", "80", "1+"] in told
    assert ["View", "160", "15", "15", "15", "15", "40", "3+"] in told
    panel.regions.tree.setCurrentItem(view(1))
    assert panel.session.state.selected_id == "r1"
    assert panel.head.call.text() == "1+"
    assert "Few cells (80)" in panel.advice.text()


def test_the_call_stays_hidden_until_the_first_read(panel):
    panel.session.state.first_read_required = True
    panel.session.state.reader_name = "Dr New"
    assert panel._open.isHidden()
    assert "first read" in panel.message.text()
    assert panel.gallery.cells == []
    panel.session.reading.first_read(Score.ONE)
    assert panel._open.isHidden()
    assert "Reveal it" in panel.message.text()
    panel.session.reading.reveal()
    assert panel.head.call.isVisible()
    assert len(panel.gallery.cells) == 8


def test_the_button_says_why_it_is_off(panel):
    assert panel.read.isEnabled()
    assert "what is in view" in panel.read.toolTip()
    panel.session.set_view(None)
    assert not panel.read.isEnabled()
    assert "not in view" in panel.read.toolTip()
    panel.session.close_case()
    assert panel.isHidden()
    assert panel.message.text() == NOTHING


def test_it_says_what_control_tissue_did_and_lets_it_be_switched_off(panel):
    assert panel.use_controls.isHidden()
    assert panel.controls.isHidden()
    found = panel.session.state.cells.found
    panel.session.quality.mark_control(Score.THREE, BoxPx(0, 0, 40, 40))
    assert panel.use_controls.isVisible()
    assert panel.use_controls.isChecked()
    assert panel.stale.text() == CHANGED
    box = [["3+", [0, 0, 40, 40]]]
    words = "Thresholds of density × 1.20 by the 3+ control (31 complete membranes)."
    panel.session.cells.absorb(
        CellsFound(
            found.region, found.cells, found.mpp, {"control_tissue_px": box}, words
        )
    )
    assert panel.controls.text() == words
    assert panel.stale.isHidden()
    panel.use_controls.click()
    assert not panel.session.state.use_controls
    assert panel.stale.text() == CHANGED
    told = panel.session.cells._journal.events()[-1]
    assert isinstance(told, ControlsUsed)
    assert told.reader.name == "Dr Demo"
    panel.session.state.reader_name = ""
    assert not panel.use_controls.isEnabled()
    assert panel.use_controls.toolTip() == NO_READER
