"""Regions get names, and their cells are left out, from the list."""

import pytest
from qtpy.QtCore import Qt

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.widgets.region_list import RegionList

AREA = Region.from_box("r1", "Region 1", BoxPx(90, 90, 200, 400))


@pytest.fixture
def regions(read_desk, qtbot):
    read_desk.session.set_regions((AREA,))
    made = RegionList(read_desk)
    qtbot.addWidget(made)
    return made


def row_of(regions, name):
    (item,) = regions.tree.findItems(name, Qt.MatchFlag.MatchExactly, 0)
    return item


def action(regions, name, text):
    menu = regions.menu_of(row_of(regions, name))
    (found,) = [each for each in menu.actions() if each.text() == text]
    return found


def test_a_region_gets_the_name_that_is_typed(regions, qtbot):
    row_of(regions, "Region 1").setText(0, " Nest A ")
    qtbot.waitUntil(lambda: regions.session.state.regions[0].name == "Nest A")
    assert row_of(regions, "Nest A").text(0) == "Nest A"
    row_of(regions, "Nest A").setText(0, "  ")
    qtbot.waitUntil(lambda: regions.tree.topLevelItem(0).text(0) == "Nest A")
    assert regions.session.state.regions[0].name == "Nest A"


def test_its_cells_are_left_out_and_count_again(regions):
    counted = regions.session.state.cells.call.reading.n_cells
    action(regions, "Region 1", "Exclude its cells").trigger()
    assert row_of(regions, "Region 1").text(2) == "excluded"
    assert regions.session.state.cells.call.reading.n_cells < counted
    action(regions, "Region 1", "Count its cells").trigger()
    assert regions.session.state.cells.call.reading.n_cells == counted


def test_a_region_that_was_read_is_named_but_not_left_out(regions):
    regions.session.select("r1")
    regions.session.reading.first_read(Score.ONE)
    action(regions, "Region 1", "Exclude its cells").trigger()
    assert "keeps its outline" in regions.session.state.notice.text
    regions.session.rename("r1", "Nest")
    assert row_of(regions, "Nest").text(1) == "1+"


def test_a_view_has_no_menu(regions):
    assert regions.menu_of(row_of(regions, "View")) is None
