"""What blocks stops a run with words, until a named reader overrules it."""

import numpy as np
import pytest

from napari_her2.app.quality import QualityLooked
from napari_her2.app.run_plan import OVERRULE, RunTarget
from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.core.errors import ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import ControlMark
from napari_her2.core.score import Score, Stain
from napari_her2.review.events import ControlsMarked, QualityOverruled
from napari_her2.review.journal import Journal
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
)

PEN = Finding(
    FindingKind.PEN,
    Severity.BLOCK,
    0.5,
    "Pen covers 50% of the tissue.",
    np.ones((3, 4), bool),
    8.0,
    4.0,
)
FOLD = Finding(FindingKind.FOLD, Severity.WARN, 0.02, "Folded.")


@pytest.fixture
def session(journal, own_folders, virtual_case, tiny_bundle_path, monkeypatch):
    opened = Session(journal, cache_dir=own_folders / "cache")
    opened.state.reader_name = "Dr A"
    looked = []

    def assess(slide, stain):
        looked.append(stain)
        found = (PEN, FOLD) if stain is Stain.HE else ()
        return QualityReport(stain, slide.fingerprint, found, 0.5, 1, 1)

    def check(slide, marks):
        looked.append(marks)
        scores = [mark.score for mark in marks]
        severity = Severity.NOTE if Score.THREE in scores else Severity.BLOCK
        return Finding(FindingKind.CONTROL, severity, 0.0, f"{scores}")

    monkeypatch.setattr("napari_her2.slides.quality.assess.assess_quality", assess)
    monkeypatch.setattr("napari_her2.slides.quality.assess.assess_marked", check)
    opened.looked = looked
    opened.choose_bundle(tiny_bundle_path)
    opened.open_case(virtual_case)
    yield opened
    opened.close_case()


def test_a_finding_that_blocks_stops_the_ai_with_words(session):
    assert session.plan(RunTarget.SLIDE).can_run, "nobody looked yet"
    session.quality.take(session.quality.look()())
    plan = session.plan(RunTarget.SLIDE)
    assert not plan.can_run
    assert plan.reasons == (f"H&E: {PEN.sentence} {OVERRULE}",)
    assert session.quality.look() is None, "each slide is looked at once"
    assert session.looked == [Stain.HE, Stain.IHC]


def test_a_run_that_was_quicker_than_the_look_takes_it(session):
    (step,) = session.begin_run(session.plan(RunTarget.SLIDE))
    assert isinstance(step, QualityLooked)
    assert step.is_blocked
    session.absorb(step)
    session.end_run(RunPhase.FINISHED)
    assert session.state.run.phase is RunPhase.IDLE
    assert not session.plan(RunTarget.SLIDE).can_run


def test_a_reader_overrules_it_with_a_reason_that_is_journaled(session, journal):
    session.quality.take(session.quality.look()())
    session.quality.overrule(Stain.HE, PEN, "  the region is clear  ")
    assert session.plan(RunTarget.SLIDE).can_run
    event = journal.events(session.state.case.case_id)[-1]
    assert isinstance(event, QualityOverruled)
    assert (event.stain, event.finding, event.note) == (
        "he",
        "pen",
        "the region is clear",
    )
    assert event.reader.name == "Dr A"
    assert len(event.key.slides) == 2
    assert event.key.region_id == ""


def test_an_overruling_holds_when_the_case_is_opened_again(session, virtual_case):
    session.quality.take(session.quality.look()())
    session.quality.overrule(Stain.HE, PEN, "clear")
    session.close_case()
    assert session.state.quality == ()
    assert session.state.overruled == ()
    session.open_case(virtual_case)
    assert session.state.overruled == (("he", "pen"),)
    assert session.state.quality, "known again without another look"
    assert session.plan(RunTarget.SLIDE).can_run
    assert session.looked == [Stain.HE, Stain.IHC]


def test_moving_a_slide_changes_nothing_of_its_quality(session, monkeypatch):
    session.quality.take(session.quality.look()())
    session.quality.overrule(Stain.HE, PEN, "clear")
    before = session.state.quality, session.state.overruled
    # a case can have thousands of events, and a nudge comes with every click
    monkeypatch.setattr(Journal, "events", None)
    session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    assert (session.state.quality, session.state.overruled) == before


def test_an_overruling_is_no_region_to_decide(session, tmp_path):
    session.quality.overrule(Stain.HE, PEN, "clear")
    assert session.state.reviewed == ()
    session.reading.export(tmp_path / "out")


@pytest.mark.parametrize(("name", "reason"), [("", "clear"), ("Dr A", "  ")])
def test_nobody_overrules_without_name_or_reason(session, name, reason):
    session.state.reader_name = name
    with pytest.raises(ReviewError):
        session.quality.overrule(Stain.HE, PEN, reason)
    assert session.state.overruled == ()


BOX = BoxPx(10, 20, 60, 90)


def control_of(session):
    (_, ihc) = session.state.quality
    return ihc.of(FindingKind.CONTROL)


def test_control_tissue_is_marked_by_hand_and_checked(session, journal):
    session.quality.take(session.quality.look()())
    session.quality.mark_control(Score.ONE, BOX)
    assert session.state.quality == (), "to be looked at"
    session.quality.take(session.quality.look()())
    assert control_of(session).severity is Severity.BLOCK
    reason = session.plan(RunTarget.SLIDE).reasons[-1]
    assert reason.startswith("HER2 IHC: ")
    session.quality.mark_control(Score.THREE, BOX)
    session.quality.mark_control(Score.ONE, BoxPx(0, 0, 10**9, 10**9))
    session.quality.take(session.quality.look()())
    assert control_of(session).severity is Severity.NOTE
    one, three = session.state.controls
    assert (one.score, three) == (Score.ONE, ControlMark(Score.THREE, BOX))
    assert one.box_px == BoxPx.of_shape(session.state.pair.ihc.shape)
    assert session.looked.count(Stain.IHC) == 1, "the slides are looked at once"
    *_, event = journal.events(session.state.case.case_id)
    assert isinstance(event, ControlsMarked)
    assert (event.controls, event.reader.name) == ((one, three), "Dr A")


def test_marks_hold_when_the_case_is_opened_again_and_can_be_taken_away(
    session, virtual_case
):
    session.quality.mark_control(Score.THREE, BOX)
    session.quality.take(session.quality.look()())
    session.close_case()
    assert session.state.controls == ()
    session.open_case(virtual_case)
    assert session.state.controls == (ControlMark(Score.THREE, BOX),)
    assert control_of(session) is not None
    session.quality.clear_controls()
    assert session.state.controls == ()
    assert control_of(session) is None


def test_a_run_right_after_a_mark_takes_the_check(session):
    session.quality.overrule(Stain.HE, PEN, "clear")
    session.quality.take(session.quality.look()())
    session.quality.mark_control(Score.ONE, BOX)
    (step,) = session.begin_run(session.plan(RunTarget.SLIDE))
    assert step.is_blocked


def test_what_was_overruled_was_said_of_other_marks(session):
    session.quality.mark_control(Score.ONE, BOX)
    session.quality.take(session.quality.look()())
    session.quality.overrule(Stain.IHC, control_of(session), "old block")
    assert session.state.overruled == (("ihc", "control tissue"),)
    session.quality.mark_control(Score.ZERO, BOX)
    assert session.state.overruled == ()


def test_a_mark_is_no_region_to_decide(session, tmp_path):
    session.quality.mark_control(Score.THREE, BOX)
    assert session.state.reviewed == ()
    session.reading.export(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "box"), [("", BOX), ("Dr A", BoxPx(-50, -50, -1, -1))]
)
def test_nobody_marks_without_name_or_off_the_slide(session, name, box):
    session.state.reader_name = name
    with pytest.raises(ReviewError):
        session.quality.mark_control(Score.ZERO, box)
    assert session.state.controls == ()
