import json

import numpy as np
import pytest
from napari.settings import get_settings

from napari_her2.app.run_plan import RunTarget
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.viewer.roles import KEY, Role, find, ours, role_of

OVERLAYS = {
    Role.SYNTHETIC_IHC,
    Role.ATTENTION,
    Role.BRANCH_SHARE,
    Role.SYNTHETIC_FRAME,
}


def roles(desk):
    return [role_of(layer) for layer in desk.viewer.layers]


def test_a_case_becomes_layers_with_role_scale_and_unit(open_desk):
    assert roles(open_desk) == [Role.HE, Role.IHC, Role.REGIONS]
    for layer in open_desk.viewer.layers:
        assert layer.metadata[KEY]["case_id"] == open_desk.session.state.case.case_id
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert tuple(layer.scale) == (0.5, 0.5)


def test_layers_are_found_by_role_after_a_user_renamed_them(open_desk, run):
    run(open_desk)
    synthetic = find(open_desk.viewer.layers, Role.SYNTHETIC_IHC)
    synthetic.name = "my favourite"
    assert open_desk.stage.overlay(Role.SYNTHETIC_IHC) is synthetic
    n_layers = len(open_desk.viewer.layers)
    open_desk.stage.refresh_overlays()
    assert len(open_desk.viewer.layers) == n_layers


def test_the_ihc_lies_on_the_he_through_the_inverse_transform(open_desk):
    pair = open_desk.session.state.pair
    ihc = find(open_desk.viewer.layers, Role.IHC)
    corner_um = np.array([40.0, 60.0])
    on_ihc_px = pair.he_to_ihc_um.apply(corner_um) / pair.ihc.mpp - 0.5
    assert np.allclose(ihc.data_to_world(on_ihc_px), corner_um, atol=1e-6)


def test_the_view_reaches_the_session(open_desk):
    open_desk.viewer.scene.camera.center = (0, 100, 120)
    open_desk.viewer.scene.camera.zoom = 10
    open_desk.stage.follow_view()
    assert open_desk.session.state.view_px == BoxPx(140, 160, 260, 320)


def test_a_run_leaves_marked_overlays_in_place(open_desk, run):
    run(open_desk)
    assert set(roles(open_desk)) == OVERLAYS | {Role.HE, Role.IHC, Role.REGIONS}
    order = [list(Role).index(role) for role in roles(open_desk)]
    assert order == sorted(order)
    synthetic = find(open_desk.viewer.layers, Role.SYNTHETIC_IHC)
    assert "SYNTHETIC" in synthetic.name
    assert synthetic.metadata[KEY]["synthetic"] is True
    assert synthetic.metadata[KEY]["run_id"] == open_desk.session.results.folder.name
    assert synthetic.name_overlay.visible
    for role in (Role.ATTENTION, Role.BRANCH_SHARE):
        layer = find(open_desk.viewer.layers, role)
        assert tuple(layer.contrast_limits) == (0, 1)
        assert layer.colorbar.visible


def test_overlays_cover_the_tiles_they_were_computed_on(open_desk, run):
    run(open_desk)
    store = open_desk.session.results
    height_um = store.grid.n_rows * store.grid.core_px * store.grid.model_mpp
    for role in (Role.ATTENTION, Role.BRANCH_SHARE):
        layer = find(open_desk.viewer.layers, role)
        low, high = layer.extent.world  # centres of the outermost pixels
        half = layer.scale[0] / 2
        assert low[0] - half == pytest.approx(0)
        assert high[0] + half == pytest.approx(height_um)


def test_the_border_cannot_be_hidden_apart_from_the_synthetic_image(open_desk, run):
    run(open_desk)
    frame = find(open_desk.viewer.layers, Role.SYNTHETIC_FRAME)
    synthetic = find(open_desk.viewer.layers, Role.SYNTHETIC_IHC)
    frame.visible = False
    assert not synthetic.visible
    open_desk.stage.blink()
    assert synthetic.visible
    assert frame.visible


def test_tiles_that_arrive_later_are_shown(open_desk, run):
    run(open_desk, RunTarget.SLIDE, n_tiles=3)
    attention = find(open_desk.viewer.layers, Role.ATTENTION)
    before = np.isfinite(attention.data).sum()
    run(open_desk, RunTarget.SLIDE)
    assert find(open_desk.viewer.layers, Role.ATTENTION) is attention
    assert np.isfinite(attention.data).sum() > before


def test_the_score_map_is_withheld_until_the_reveal(open_desk, run):
    run(open_desk)
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is None
    open_desk.session.reading.first_read(Score.ONE)
    open_desk.stage.refresh_overlays()
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is None
    open_desk.session.reading.reveal()
    open_desk.stage.refresh_overlays()
    assert find(open_desk.viewer.layers, Role.SCORE_MAP) is not None


def test_no_layer_of_a_closed_case_is_left(open_desk, run):
    run(open_desk)
    open_desk.viewer.add_points([[1, 2]], name="not ours")
    assert get_settings().experimental.async_
    open_desk.close_case()
    assert [layer.name for layer in open_desk.viewer.layers] == ["not ours"]
    assert not get_settings().experimental.async_


def test_opening_again_shows_what_was_computed_before(open_desk, run, virtual_case):
    run(open_desk)
    open_desk.open_paths([virtual_case])
    open_desk.stage.refresh_overlays()
    assert set(roles(open_desk)) >= OVERLAYS
    assert len(ours(open_desk.viewer.layers)) == 7
    visible = [role_of(layer) for layer in open_desk.viewer.layers if layer.visible]
    assert visible == [Role.HE, Role.REGIONS], "nothing covers a slide to be read"


def test_one_square_millimetre_is_added_where_the_reader_looks(open_desk):
    open_desk.stage.add_square_mm()
    (region,) = open_desk.session.state.regions
    assert region.bounds.shape == (2000, 2000)
    open_desk.stage._draw_regions()
    layer = find(open_desk.viewer.layers, Role.REGIONS)
    assert len(layer.data) == 1


def test_a_region_that_was_read_snaps_back_when_it_is_moved(open_desk, run):
    region = Region.from_box("r", "Region 1", BoxPx(100, 100, 200, 200))
    open_desk.session.set_regions((region,))
    open_desk.stage._draw_regions()
    run(open_desk, RunTarget.REGIONS)
    open_desk.session.reading.first_read(Score.ONE)
    layer = find(open_desk.viewer.layers, Role.REGIONS)
    layer.data = [np.array(region.vertices_yx) + 10]
    open_desk.stage._draw_regions()
    assert np.array_equal(layer.data[0], region.vertices_yx)
    assert open_desk.session.state.notice.is_error


def test_two_desks_give_asynchronous_slicing_back_once(open_desk, virtual_case):
    from napari.components import ViewerModel

    from napari_her2.app.session import Session
    from napari_her2.review.journal import Journal
    from napari_her2.viewer.desk import Desk

    other = ViewerModel()
    with Journal() as journal:
        second = Desk(other, Session(journal))
        second.open_paths([virtual_case])
        open_desk.close_case()
        assert get_settings().experimental.async_
        second.close_case()
        assert not get_settings().experimental.async_


def test_what_a_forced_run_made_is_marked_in_every_layer(
    open_desk, run, nothing_is_familiar
):
    run(open_desk)
    assert open_desk.stage.overlay(Role.SYNTHETIC_IHC) is None, "nothing to show"
    assert open_desk.stage.overlay(Role.SYNTHETIC_FRAME) is None
    open_desk.session.force()
    run(open_desk)
    for role in OVERLAYS:
        layer = open_desk.stage.overlay(role)
        assert layer.metadata[KEY]["forced"] is True
        assert role is Role.SYNTHETIC_FRAME or layer.name.startswith("FORCED")
    open_desk.session.force(on=False)
    open_desk.stage.refresh_overlays()
    names = [layer.name for layer in open_desk.viewer.layers]
    assert not [name for name in names if "FORCED" in name]


def test_an_ihc_alone_shows_its_reconstructed_he_hidden_at_first(
    open_desk, run, virtual_case
):
    ihc = virtual_case.parent / json.loads(virtual_case.read_text())["ihc"]
    open_desk.open_slides(None, ihc)
    open_desk.viewer.scene.camera.center = (0, 100, 120)
    open_desk.viewer.scene.camera.zoom = 12
    open_desk.stage.follow_view()
    run(open_desk)
    layer = open_desk.stage.overlay(Role.SYNTHETIC_HE)
    assert layer.name == "SYNTHETIC H&E (not a stain)"
    assert layer.metadata[KEY]["synthetic"] is True
    assert not layer.visible, "it would cover the real IHC"
    open_desk.stage.blink()
    assert layer.visible
    assert open_desk.stage.overlay(Role.SYNTHETIC_FRAME).visible


def test_maps_with_a_colour_bar_say_what_it_measures(open_desk, run):
    run(open_desk)
    for role in (Role.ATTENTION, Role.BRANCH_SHARE):
        layer = open_desk.stage.overlay(role)
        assert layer.name_overlay.visible
        assert layer.name_overlay.position == layer.colorbar.position


def test_uncomputed_tiles_beside_the_slide_are_as_light_as_glass(open_desk):
    from napari_her2.viewer.palette import GLASS
    from napari_her2.viewer.twin import Twin

    twin = Twin(open_desk.viewer, Role.IHC)
    red, green, blue, alpha = twin.model.canvas.background_color_override
    shown = "".join(f"{round(255 * float(c)):02x}" for c in (red, green, blue))
    assert f"#{shown}" == GLASS
    assert alpha == 1
    twin.close()
