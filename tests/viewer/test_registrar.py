import time
from dataclasses import replace

import numpy as np
import pytest

from napari_her2.app.pairing import Checked, Landmark, PairingWork
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.errors import SlideError
from napari_her2.core.registration import RegistrationError
from napari_her2.viewer.landmark_tool import Awaited
from napari_her2.viewer.registrar import REST_MS
from napari_her2.viewer.roles import Role, find

ERROR = RegistrationError(2.0, 6.0, 90, 100, 3.0)


def test_a_check_runs_off_the_main_thread_and_leaves_the_layers(open_desk, qtbot):
    before = list(open_desk.viewer.layers)
    open_desk.registrar.check()
    state = open_desk.session.state
    qtbot.waitUntil(lambda: state.pair.registration.error is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not open_desk.registrar.is_busy)
    assert state.pairing_work == PairingWork()
    assert list(open_desk.viewer.layers) == before


def test_a_problem_becomes_a_notice(open_desk, qtbot, monkeypatch):
    def fails():
        yield PairingWork("Registering: reading", 0.1)
        raise SlideError("ihc.tif", "it ends early.", "Copy it again.")

    monkeypatch.setattr(open_desk.session.pairing, "begin", fails)
    open_desk.registrar.register()
    state = open_desk.session.state
    qtbot.waitUntil(lambda: state.notice is not None and state.notice.is_error)
    assert "it ends early" in state.notice.text


@pytest.fixture
def loose(desk, virtual_case, monkeypatch):
    """A desk with both slides open that nobody registered, and a quick registration."""
    begun = []

    def steps():
        begun.append(1)
        yield PairingWork("Registering: aligning", 0.5, is_moving=True)
        while len(begun) < 2:
            time.sleep(0.01)
            yield PairingWork("Registering: aligning", 0.6, is_moving=True)

    monkeypatch.setattr(desk.session.pairing, "begin", steps)
    monkeypatch.setattr(desk.session.pairing, "begin_check", lambda: None)
    desk.begun = begun
    desk.paths = [virtual_case.parent / f"{stain}.ome.tif" for stain in ("he", "ihc")]
    yield desk
    desk.registrar.cancel()
    begun += [1, 1]


def test_loose_slides_are_registered_once_without_being_asked(loose, qtbot):
    loose.registrar.is_eager = True
    loose.open_paths(loose.paths)
    state = loose.session.state
    qtbot.waitUntil(lambda: state.pairing_work.is_moving)
    loose.registrar.cancel()
    assert state.pairing_work == PairingWork()
    qtbot.waitUntil(lambda: not loose.registrar.is_busy)
    assert state.pairing_work == PairingWork()
    # the reader does not want it: it does not begin again by itself
    state.pair = replace(state.pair)
    qtbot.wait(REST_MS + 300)
    assert loose.begun == [1]
    assert not loose.registrar.is_busy


@pytest.mark.parametrize(
    ("is_eager", "is_loose", "asks"),
    [(False, True, False), (True, False, False), (True, True, True)],
)
def test_nothing_else_is_registered_by_itself(
    loose, virtual_case, qtbot, is_eager, is_loose, asks
):
    loose.registrar.is_eager = is_eager
    loose.open_paths(loose.paths if is_loose else [virtual_case])
    qtbot.wait(REST_MS + 300)
    assert bool(loose.begun) is asks


def test_both_stains_are_not_run_while_they_are_being_registered(open_desk):
    plan = open_desk.session.plan
    assert plan(RunTarget.VIEW).can_run
    work = PairingWork("Registering: aligning", 0.4, is_moving=True)
    open_desk.session.pairing.absorb(work)
    assert "being registered" in plan(RunTarget.VIEW).tooltip
    open_desk.session.pairing.end()
    assert plan(RunTarget.VIEW).can_run


def test_the_ihc_layer_moves_and_nothing_else_is_made_anew(open_desk):
    ihc = find(open_desk.viewer.layers, Role.IHC)
    he = find(open_desk.viewer.layers, Role.HE)
    center = open_desk.viewer.scene.camera.center
    open_desk.session.state.reader_name = "Dr A"
    before = ihc.data_to_world((0, 0))
    open_desk.session.pairing.nudge((5.0, -3.0), about=(0.0, 0.0))
    assert find(open_desk.viewer.layers, Role.IHC) is ihc
    assert find(open_desk.viewer.layers, Role.HE) is he
    np.testing.assert_allclose(
        ihc.data_to_world((0, 0)), np.add(before, (5.0, -3.0)), atol=1e-6
    )
    assert open_desk.viewer.scene.camera.center == center


def test_two_clicks_make_a_landmark(open_desk):
    tool, state = open_desk.landmarks, open_desk.session.state
    he, ihc = (find(open_desk.viewer.layers, role) for role in (Role.HE, Role.IHC))
    shown = he.visible, ihc.visible
    tool.start()
    assert tool.awaited is Awaited.HE
    assert (he.visible, ihc.visible) == (True, False)
    tool.click((100.0, 120.0))
    assert tool.awaited is Awaited.IHC
    assert (he.visible, ihc.visible) == (False, True)
    tool.click((104.0, 117.0))
    assert tool.awaited is Awaited.NOTHING
    assert (he.visible, ihc.visible) == shown
    (mark,) = state.landmarks
    assert mark.he_um == (100.0, 120.0)
    expected = state.pair.he_to_ihc_um.apply((104.0, 117.0))
    np.testing.assert_allclose(mark.ihc_um, expected)
    (distance,) = open_desk.session.pairing.landmark_distances_um()
    assert distance == pytest.approx(5.0, rel=0.02)
    layer = find(open_desk.viewer.layers, Role.LANDMARKS)
    np.testing.assert_allclose(layer.data, [[100, 120], [104, 117]], atol=1e-6)
    tool.start()
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is None
    tool.stop()
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is not None
    open_desk.session.pairing.remove_landmark(0)
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is None


def test_stopping_leaves_the_layers_as_they_were(open_desk):
    tool = open_desk.landmarks
    ihc = find(open_desk.viewer.layers, Role.IHC)
    tool.start()
    tool.click((100.0, 120.0))
    tool.stop()
    assert not ihc.visible
    assert open_desk.session.state.landmarks == ()
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is None


def test_marks_go_with_the_case(open_desk):
    open_desk.session.pairing.add_landmark(Landmark((10.0, 10.0), (20.0, 20.0)))
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is not None
    open_desk.close_case()
    assert open_desk.session.state.landmarks == ()
    assert find(open_desk.viewer.layers, Role.LANDMARKS) is None


def test_a_run_goes_on_when_only_the_error_becomes_known(open_desk, monkeypatch):
    stopped = []
    worker = open_desk.runner._worker
    monkeypatch.setattr(worker, "abandon", lambda: stopped.append(1))
    state = open_desk.session.state
    checked = replace(state.pair.registration, error=ERROR)
    open_desk.session.pairing.absorb(Checked(checked))
    assert stopped == []
    state.reader_name = "Dr A"
    open_desk.session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    assert stopped == [1]
