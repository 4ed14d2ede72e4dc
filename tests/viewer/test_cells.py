"""Cells come from a worker thread and lie on the IHC slide in µm."""

from threading import current_thread, main_thread

import numpy as np
import pytest

from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.errors import SlideError
from napari_her2.core.membrane import MembranePattern
from napari_her2.viewer.cell_map import Mapped
from napari_her2.viewer.cell_outlines import THUMBNAIL_PX, thumbnail
from napari_her2.viewer.palette import PATTERN_COLORS
from napari_her2.viewer.roles import Role, find, role_of


def dots(desk):
    return find(desk.viewer.layers, Role.CELLS)


def lines(desk):
    return find(desk.viewer.layers, Role.CELL_OUTLINES)


def look(desk, row, zoom):
    place = dots(desk).data_to_world(dots(desk).data[row])
    desk.viewer.scene.camera.center = (0, *place)
    desk.viewer.scene.camera.zoom = zoom
    desk.cell_layers.draw()


def n_outlines(desk):
    drawn = np.linalg.norm(lines(desk).data[:, 1], axis=1) > 1e-3
    return int(drawn.sum()) // 18


def n_dots(desk):
    return int((dots(desk).face_color[:, 3] > 0).sum())


def test_a_cell_lies_where_it_is_on_the_ihc(read_desk):
    ihc = find(read_desk.viewer.layers, Role.IHC)
    cells = read_desk.session.state.cells.cells
    y_px, x_px = cells["y_px"][17].as_py(), cells["x_px"][17].as_py()
    at = dots(read_desk).data_to_world(dots(read_desk).data[17])
    assert at == pytest.approx(ihc.data_to_world((y_px - 0.5, x_px - 0.5)), abs=1e-6)
    assert {str(unit) for unit in dots(read_desk).units} == {"micrometer"}
    roles = [role_of(each) for each in read_desk.viewer.layers]
    assert roles.index(Role.IHC) < roles.index(Role.CELLS) < roles.index(Role.REGIONS)
    assert ihc.visible, "cells are looked at on the IHC"


def test_an_outline_goes_round_its_cell_at_the_radius_that_was_read(read_desk):
    look(read_desk, 80, 200.0)
    assert n_outlines(read_desk) < 20
    middles = dots(read_desk).data
    starts = lines(read_desk).data[:18, 0]
    away = np.linalg.norm(starts - starts.mean(0), axis=1)
    assert away == pytest.approx(4.0, abs=1e-4)
    assert np.linalg.norm(middles - starts.mean(0), axis=1).min() < 1e-4


def test_outlines_are_drawn_from_near_and_dots_from_afar(read_desk):
    look(read_desk, 80, 1.5)
    assert n_outlines(read_desk) == 160
    assert n_dots(read_desk) == 0
    look(read_desk, 80, 0.1)
    assert n_outlines(read_desk) == 0
    assert n_dots(read_desk) == 160


def test_a_filter_leaves_the_cells_of_a_pattern(read_desk):
    look(read_desk, 80, 1.5)
    read_desk.cell_layers.filter(frozenset({MembranePattern.COMPLETE_INTENSE}))
    assert n_outlines(read_desk) == 24
    wanted = PATTERN_COLORS[MembranePattern.COMPLETE_INTENSE]
    told = [round(255 * each) for each in lines(read_desk).edge_color[0, :3]]
    assert told == [int(wanted[i : i + 2], 16) for i in (1, 3, 5)]
    look(read_desk, 80, 0.1)
    assert n_dots(read_desk) == 24


def test_a_correction_changes_the_colour_and_a_rejection_hides(read_desk):
    look(read_desk, 80, 1.5)
    before = dots(read_desk).face_color[0].copy()
    read_desk.session.cells.judge(0, CellVerdict.COMPLETE_INTENSE)
    read_desk.cell_layers.draw()
    assert not np.allclose(dots(read_desk).face_color[0], before)
    read_desk.session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    read_desk.cell_layers.draw()
    assert n_outlines(read_desk) == 159


def test_a_click_selects_the_cell_under_it_and_none_elsewhere(read_desk):
    place = dots(read_desk).data_to_world(dots(read_desk).data[33])
    look(read_desk, 33, 1.5)
    read_desk.cell_layers.pick(place)
    assert read_desk.cell_layers.selected == 33
    assert n_outlines(read_desk) == 161, "it is ringed"
    read_desk.cell_layers.pick((-500.0, -500.0))
    assert read_desk.cell_layers.selected is None


def test_flying_to_a_cell_brings_it_into_the_middle(read_desk):
    read_desk.cell_layers.fly_to(140)
    place = dots(read_desk).data_to_world(dots(read_desk).data[140])
    assert read_desk.viewer.scene.camera.center[-2:] == pytest.approx(place)
    assert read_desk.cell_layers.selected == 140


def test_layers_move_with_the_slide_and_go_with_the_case(read_desk):
    before = dots(read_desk).data_to_world((0, 0))
    read_desk.session.pairing.nudge((30.0, 0.0), about=(0.0, 0.0))
    ihc = find(read_desk.viewer.layers, Role.IHC)
    for layer in (dots(read_desk), lines(read_desk)):
        assert np.allclose(layer.affine.affine_matrix, ihc.affine.affine_matrix)
    assert not np.allclose(dots(read_desk).data_to_world((0, 0)), before)
    read_desk.close_case()
    assert dots(read_desk) is None
    assert lines(read_desk) is None


def test_cells_are_hidden_with_their_slide_and_come_back_with_it(read_desk):
    ihc = find(read_desk.viewer.layers, Role.IHC)
    for is_visible in (False, True):
        ihc.visible = is_visible
        assert dots(read_desk).visible is is_visible
        assert lines(read_desk).visible is is_visible


def test_nothing_is_shown_before_the_first_read(read_desk):
    read_desk.session.state.first_read_required = True
    read_desk.session.state.reader_name = "Dr New"
    read_desk.cell_layers.draw()
    assert dots(read_desk) is None
    assert read_desk.cell_layers.read is None


def test_a_picture_shows_the_place_of_the_cell(open_desk):
    slide = open_desk.session.state.pair.ihc
    seen = thumbnail(slide, 200.0, 240.0)
    assert seen.shape == (THUMBNAIL_PX, THUMBNAIL_PX, 3)
    middle = np.asarray(slide.levels[0][197:203, 237:243]).mean((0, 1))
    assert seen[29:35, 29:35].mean((0, 1)) == pytest.approx(middle, abs=25)


def test_pictures_are_read_off_the_main_thread(read_desk, qtbot, monkeypatch):
    threads = []

    def noting(slide, y_px, x_px):
        threads.append(current_thread())
        return thumbnail(slide, y_px, x_px)

    monkeypatch.setattr("napari_her2.viewer.cell_pictures.thumbnail", noting)
    pictures = read_desk.cell_pictures
    with qtbot.waitSignals([pictures.arrived] * 2):
        pictures.want([(200.0, 240.0), (220.0, 240.0)])
    assert main_thread() not in threads
    assert pictures.get((200.0, 240.0)).shape == (THUMBNAIL_PX, THUMBNAIL_PX, 3)
    qtbot.waitUntil(lambda: not pictures._worker.is_busy)
    pictures.want([(200.0, 240.0)])
    assert not pictures._worker.is_busy, "it is there already"
    read_desk.close_case()
    assert pictures.get((200.0, 240.0)) is None


def test_reading_is_done_off_the_main_thread_and_an_error_is_told(
    open_desk, qtbot, monkeypatch
):
    threads = []

    def refuse(slide, report, overruled):
        threads.append(current_thread())
        raise SlideError("ihc.tif", "it broke.", "Scan it again.")

    monkeypatch.setattr("napari_her2.cells.why_not.why_not_scored", refuse)
    open_desk.read_cells()
    assert open_desk.session.state.cell_work.doing
    qtbot.waitUntil(lambda: not open_desk.cell_reader.is_busy)
    assert main_thread() not in threads
    assert "it broke" in open_desk.session.state.notice.text
    assert not open_desk.session.state.cell_work.doing


def test_the_heat_map_lies_on_the_ihc_and_follows_what_is_mapped(read_desk):
    read_desk.cell_map.show(Mapped.COMPLETE_INTENSE)
    layer = find(read_desk.viewer.layers, Role.CELL_MAP)
    ihc = find(read_desk.viewer.layers, Role.IHC)
    mpp = read_desk.session.state.pair.ihc.mpp
    assert np.allclose(layer.affine.affine_matrix, ihc.affine.affine_matrix)
    at = layer.data_to_world((0.5, 0.5))
    assert at == pytest.approx(ihc.data_to_world((100 / mpp - 0.5,) * 2), abs=1e-6)
    assert np.nanmax(layer.data) > np.nanmin(layer.data)
    read_desk.cell_map.show(Mapped.STAINED)
    assert find(read_desk.viewer.layers, Role.CELL_MAP) is not layer
    ihc.visible = False
    assert not find(read_desk.viewer.layers, Role.CELL_MAP).visible
    read_desk.cell_map.show(Mapped.NOTHING)
    assert find(read_desk.viewer.layers, Role.CELL_MAP) is None


def test_the_heat_map_is_hidden_with_the_call_and_follows_corrections(read_desk):
    read_desk.cell_map.show(Mapped.COMPLETE_INTENSE)
    before = find(read_desk.viewer.layers, Role.CELL_MAP).data.copy()
    for row in range(136, 160):
        read_desk.session.cells.judge(row, CellVerdict.NONE)
    read_desk.cell_map.draw()
    after = find(read_desk.viewer.layers, Role.CELL_MAP).data
    assert np.nansum(after) < np.nansum(before)
    read_desk.session.state.reader_name = ""
    read_desk.cell_map.draw()
    assert find(read_desk.viewer.layers, Role.CELL_MAP) is None
