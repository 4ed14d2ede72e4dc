"""What blocks stops a run with words, until a named reader overrules it."""

import numpy as np
import pytest

from napari_her2.app.quality import QualityLooked
from napari_her2.app.run_plan import OVERRULE, RunTarget
from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.core.errors import ReviewError
from napari_her2.core.score import Stain
from napari_her2.review.events import QualityOverruled
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

    monkeypatch.setattr("napari_her2.slides.quality.assess.assess_quality", assess)
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
