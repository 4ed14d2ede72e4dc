import npe2
import pytest
from npe2.manifest.utils import import_python_name
from qtpy.QtWidgets import QDockWidget

from napari_her2 import plugin
from napari_her2.core.errors import NotReadyError
from napari_her2.viewer.desk import desk_of
from napari_her2.viewer.roles import Role, role_of
from napari_her2.viewer.viewport import view_box_um

PLUGIN = "napari-her2"


@pytest.fixture
def only_ours(npe2pm, plugin_settings, own_folders):
    """napari knows this plug-in alone, and its preferences are the defaults."""
    with npe2pm.tmp_plugin(package=PLUGIN):
        yield


@pytest.fixture
def viewer(only_ours, make_napari_viewer, qtbot):
    made = make_napari_viewer()
    yield made
    # a block that is read in the background holds its canvas until it arrives
    compare = made.window.dock_widgets.get(f"Compare ({PLUGIN})")
    panes = [] if compare is None else [compare.real, compare.synthetic]
    models = [made, *(pane.twin.model for pane in panes)]
    qtbot.waitUntil(lambda: all(x.loaded for m in models for x in m.layers))
    desk_of(made).close_case()
    qtbot.wait(50)


def test_every_command_of_the_manifest_exists():
    manifest = npe2.PluginManifest.from_distribution(PLUGIN)
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id
        assert command.title
    assert [w.display_name for w in manifest.contributions.widgets] == [
        "Case",
        "Assist",
        "Review",
        "Compare",
    ]


def test_only_case_manifests_are_claimed():
    assert plugin.get_reader("x.her2case.json") is plugin.read_layers
    assert plugin.get_reader("slide.tif") is None
    assert plugin.get_reader(["a.her2case.json", "b.her2case.json"]) is None


def test_without_a_window_the_reader_says_how_to_get_one(virtual_case):
    with pytest.raises(NotReadyError, match="napari-her2 open"):
        plugin.read_layers(str(virtual_case))


@pytest.mark.gl
def test_dropping_a_manifest_opens_the_session_and_adds_layers_once(
    viewer, virtual_case, qtbot
):
    viewer.open(virtual_case, plugin=PLUGIN)
    in_order = [Role.HE, Role.IHC, Role.REGIONS]
    qtbot.waitUntil(lambda: [role_of(x) for x in viewer.layers] == in_order)
    seen = view_box_um(viewer)
    assert min(seen.y0, seen.x0) <= 0
    assert seen.y1 >= 240
    assert seen.x1 >= 300
    assert desk_of(viewer).session.state.case is not None
    assert {layer.source.path for layer in viewer.layers} == {None}


@pytest.mark.gl
def test_a_broken_manifest_is_a_notice_and_the_open_case_stays(
    viewer, virtual_case, tmp_path
):
    broken = tmp_path / "broken.her2case.json"
    broken.write_text("{")
    viewer.open(broken, plugin=PLUGIN)
    assert len(viewer.layers) == 0
    viewer.open(virtual_case, plugin=PLUGIN)
    viewer.open(broken, plugin=PLUGIN)
    assert len(viewer.layers) == 3
    notice = desk_of(viewer).session.state.notice.text
    assert notice.startswith("Case: it is no case manifest")


@pytest.mark.gl
def test_the_workspace_opens_every_dock_once_and_where_expected(viewer, virtual_case):
    plugin.open_review_workspace(viewer)
    plugin.open_review_workspace(viewer)
    docks = [name for name in viewer.window.dock_widgets if PLUGIN in name]
    assert sorted(docks) == [
        f"{name} ({PLUGIN})" for name in ("Assist", "Case", "Compare", "Review")
    ]
    desk = desk_of(viewer)
    desk.open_paths([virtual_case])
    compare = viewer.window.dock_widgets[f"Compare ({PLUGIN})"]
    assert not compare.real.twin.is_empty
    assert compare.synthetic.nothing.isVisibleTo(compare)
    assert "Run the AI" in compare.synthetic.nothing.text()
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 80, 90), 4.0
    camera = compare.real.twin.model.scene.camera
    assert (camera.center, camera.zoom) == ((0, 80, 90), 4.0)


@pytest.mark.gl
def test_a_run_from_the_dock_works_in_the_background_and_fills_the_comparison(
    viewer, virtual_case, tiny_bundle_path, qtbot
):
    desk = desk_of(viewer)
    desk.session.choose_bundle(tiny_bundle_path)
    plugin.open_review_workspace(viewer)
    desk.open_paths([virtual_case])
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 80, 90), 14.0
    desk.stage.follow_view()
    assist = viewer.window.dock_widgets[f"Assist ({PLUGIN})"]
    next(iter(assist.runs.run.values())).click()
    qtbot.waitUntil(lambda: not desk.runner.is_busy, timeout=60_000)
    assert desk.session.state.run.phase == "finished"
    desk.stage.refresh_overlays()
    compare = viewer.window.dock_widgets[f"Compare ({PLUGIN})"]
    assert not compare.synthetic.twin.is_empty
    assert len(desk.session.state.reviewed) == 1


@pytest.mark.gl
def test_cancelling_keeps_what_is_done_and_a_closed_case_stops_the_run(
    viewer, virtual_case, tiny_bundle_path, qtbot
):
    desk = desk_of(viewer)
    desk.session.choose_bundle(tiny_bundle_path)
    desk.open_paths([virtual_case])
    plugin.run_on_slide(viewer)
    qtbot.waitUntil(lambda: desk.session.state.run.n_done > 1, timeout=60_000)
    plugin.cancel_run(viewer)
    desk.stage.refresh_overlays()
    qtbot.waitUntil(lambda: not desk.runner.is_busy, timeout=60_000)
    run = desk.session.state.run
    assert run.phase == "cancelled"
    desk.stage.blink()
    assert not desk.stage.overlay(Role.SYNTHETIC_IHC).visible
    assert 1 < run.n_done < run.n_tiles
    plugin.run_on_slide(viewer)
    assert desk.stage.overlay(Role.SYNTHETIC_IHC).visible, "a run shows its tiles"
    qtbot.waitUntil(lambda: desk.session.state.run.n_done > run.n_done, timeout=60_000)
    desk.close_case()
    qtbot.waitUntil(lambda: not desk.runner.is_busy, timeout=60_000)
    assert desk.session.state.run.phase == "idle"
    assert desk.session.state.notice is None


@pytest.mark.gl
def test_closing_the_comparison_releases_its_canvases(viewer, virtual_case, qtbot):
    plugin.open_review_workspace(viewer)
    desk_of(viewer).open_paths([virtual_case])
    name = f"Compare ({PLUGIN})"
    compare = viewer.window.dock_widgets[name]
    dock = compare.parent()
    assert isinstance(dock, QDockWidget)
    viewer.window.remove_dock_widget(dock)
    assert compare.real.twin.is_empty
    assert name not in viewer.window.dock_widgets
    viewer.scene.camera.zoom = 3.0
    assert compare.real.twin.model.scene.camera.zoom != 3.0


def test_preferences_are_read_and_followed(only_ours):
    from napari.components import ViewerModel
    from napari.settings import get_plugin_settings

    settings = get_plugin_settings(PLUGIN)
    model = ViewerModel()
    state = desk_of(model).session.state
    assert state.first_read_required is True
    settings.reading.first_read_required = False
    assert state.first_read_required is False
    assert state.use_profile is True
    settings.reading.use_colour_profile = False
    assert state.use_profile is False
    state.reader_name = "Dr Next"
    assert settings.reading.reader_name == "Dr Next"
