from dataclasses import replace

import numpy as np
import pytest

from napari_her2.app.pairing import (
    Checked,
    Landmark,
    PairingWork,
    light_of,
    why_not_both,
)
from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.core.errors import NotReadyError, ReviewError, UsageError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.registration import (
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.review.events import Registered, RegistrationSet
from napari_her2.slides.registration import register as registering
from napari_her2.slides.registration.files import RegistrationFile
from napari_her2.slides.registration.register import RegistrationStep

GOOD = RegistrationError(2.0, 6.0, 90, 100, 3.0)
BAD = RegistrationError(80.0, 140.0, 90, 100, 3.0)
SHIFT = Affine(((1.0, 0.0, 12.0), (0.0, 1.0, -7.0)))
FOUND = replace(Registration.of_affine(SHIFT, "automatic, affine"), error=GOOD)


@pytest.fixture
def session(journal, virtual_case, tmp_path):
    made = Session(journal, cache_dir=tmp_path / "cache")
    made.open_case(virtual_case)
    made.state.reader_name = "Dr A"
    yield made
    made.close_case()


@pytest.fixture
def register(monkeypatch):
    """Have the slides register at once, as a test says."""

    def make(found):
        def steps(he, ihc):
            yield RegistrationStep(0.4, "aligning")
            yield RegistrationFile(found, he.mpp, ihc.mpp)

        monkeypatch.setattr(registering, "register_slides", steps)

    return make


def run(session):
    for step in session.pairing.begin():
        session.pairing.absorb(step)
    session.pairing.end()


def test_a_registration_is_journaled_and_comes_back_with_the_case(
    session, register, journal, virtual_case
):
    register(FOUND)
    before = session.state.pair.registration
    run(session)
    assert session.state.pair.registration == FOUND
    assert [v.registration for v in session.state.versions] == [before, FOUND]
    assert session.state.versions[-1].reader == ""
    assert session.state.pairing_work == PairingWork()
    events = journal.events(session.state.case.case_id)
    assert [e.registration for e in events if isinstance(e, Registered)] == [FOUND]
    session.close_case()
    assert session.state.versions == ()
    session.open_case(virtual_case)
    assert session.state.pair.registration == FOUND
    # the case is still pending, and has no decision to show
    assert session.state.reviewed == ()


def test_progress_is_shown_while_slides_register(session, register):
    register(FOUND)
    steps = session.pairing.begin()
    session.pairing.absorb(next(steps))
    assert session.state.pairing_work == PairingWork(
        "Registering: aligning", 0.4, is_moving=True
    )
    assert "being registered" in session.pairing.why_not()
    with pytest.raises(NotReadyError, match="being registered"):
        session.pairing.begin()
    session.pairing.end("the disk is gone")
    assert session.state.notice.is_error
    assert session.pairing.why_not() is None


def test_what_nobody_checked_is_checked_once(session):
    steps = session.pairing.begin_check()
    for step in steps:
        session.pairing.absorb(step)
    session.pairing.end()
    error = session.state.pair.registration.error
    assert error is not None
    assert session.state.versions[-1].registration.error == error
    assert len(session.state.versions) == 1
    assert session.pairing.begin_check() is None


def test_red_stops_two_stain_runs_and_says_why(session, tiny_bundle_path):
    session.choose_bundle(tiny_bundle_path)
    session.set_view(BoxPx(0, 0, 100, 100))
    assert session.plan(RunTarget.VIEW).can_run
    red = replace(session.state.pair.registration, error=BAD)
    session.pairing.absorb(Checked(red))
    plan = session.plan(RunTarget.VIEW)
    assert not plan.can_run
    assert "do not lie on each other" in plan.tooltip
    session.state.error_limits = ErrorLimits(25, 200)
    assert session.plan(RunTarget.VIEW).can_run
    assert light_of(red, ErrorLimits()) is Light.RED
    assert why_not_both(FOUND, ErrorLimits()) is None
    assert light_of(Registration.of_affine(SHIFT, "x"), ErrorLimits()) is None


def test_a_new_registration_is_another_run(session, register, tiny_bundle_path):
    session.choose_bundle(tiny_bundle_path)
    before = session.results
    register(FOUND)
    run(session)
    assert session.results is not before
    assert session.results.identity != before.identity


def test_landmarks_show_their_error_and_can_be_fitted(session, journal):
    pairing = session.pairing
    points = np.array([[30.0, 40], [200, 60], [80, 230]])
    for he_um, ihc_um in zip(points, SHIFT.apply(points), strict=True):
        pairing.add_landmark(Landmark(tuple(he_um), tuple(ihc_um)))
    assert min(pairing.landmark_distances_um()) > 1
    pairing.refine()
    assert max(pairing.landmark_distances_um()) < 1e-6
    version = session.state.versions[-1]
    assert (version.reader, version.registration.method) == ("Dr A", "3 landmarks")
    (event,) = [
        e
        for e in journal.events(session.state.case.case_id)
        if isinstance(e, RegistrationSet)
    ]
    assert event.registration.to_json() == version.registration.to_json()
    pairing.remove_landmark(1)
    assert len(session.state.landmarks) == 2
    with pytest.raises(UsageError, match="2 pairs"):
        pairing.refine()


def test_a_nudge_moves_the_ihc_in_the_frame_of_the_he(session):
    before = session.state.pair.he_to_ihc
    session.pairing.nudge((5.0, -3.0), about=(100.0, 100.0))
    after = session.state.pair.he_to_ihc
    point = np.array([[60.0, 90.0]])
    np.testing.assert_allclose(after.apply(np.add(point, (5, -3))), before.apply(point))
    session.pairing.nudge(turn_deg=90.0, about=(100.0, 100.0))
    turned = session.state.pair.he_to_ihc
    # what lay to the right of the middle now lies below it: clockwise
    np.testing.assert_allclose(
        turned.apply([[150.0, 100.0]]), after.apply([[100.0, 150.0]]), atol=1e-9
    )
    assert session.state.pair.registration.error is None


def test_a_check_of_an_earlier_place_moves_nothing_back(session):
    *_, checked = session.pairing.begin_check()
    session.pairing.nudge((5.0, -3.0), about=(100.0, 100.0))
    moved = session.state.pair.registration
    session.pairing.absorb(checked)
    assert session.state.pair.registration == moved
    assert session.state.versions[-1].registration == moved


def test_an_earlier_version_can_be_set_again(session):
    first = session.state.pair.registration
    session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    session.pairing.go_back_to(0)
    assert session.state.pair.registration == first
    assert len(session.state.versions) == 3


def test_moving_needs_a_name(session):
    session.state.reader_name = ""
    with pytest.raises(ReviewError, match="No reader is named"):
        session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))


def test_one_slide_has_no_registration(journal, virtual_case, tmp_path):
    session = Session(journal, cache_dir=tmp_path)
    assert "Open an H&E and an IHC" in session.pairing.why_not()
    session.open_files(virtual_case.parent / "he.ome.tif", None)
    assert "Open an H&E and an IHC" in session.pairing.why_not()
    assert session.pairing.begin_check() is None
    session.close_case()
