"""Cells of the IHC slide are read in a region, corrected by a person, and kept."""

import numpy as np
import pytest

from napari_her2.app.cell_reading import CellReading
from napari_her2.app.cells_read import OWN_REGION, PROPOSAL
from napari_her2.app.session import Session
from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.errors import NotReadyError, ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.region import Region
from napari_her2.core.score import Score, Stain
from napari_her2.review.events import CellCorrected, CellsShown
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
)

PEN = Finding(FindingKind.PEN, Severity.BLOCK, 0.5, "Pen covers half of the tissue.")


@pytest.fixture
def session(journal, own_folders, virtual_case, monkeypatch):
    opened = Session(journal, cache_dir=own_folders / "cache")
    opened.state.reader_name = "Dr A"
    opened.state.first_read_required = False

    def assess(slide, stain):
        return QualityReport(stain, slide.fingerprint, (), 0.5, 1, 1)

    monkeypatch.setattr("napari_her2.cells.why_not.assess_quality", assess)
    opened.open_case(virtual_case)
    opened.set_view(BoxPx(-50, -50, 2000, 2000))
    yield opened
    opened.close_case()


def read(session):
    for step in session.cells.begin():
        session.cells.absorb(step)
    session.cells.end()
    return session.state.cells


@pytest.fixture
def cells(session):
    return read(session)


def n_of(cells, pattern):
    share = cells.call.reading.shares[pattern].value
    return round(share * cells.call.reading.n_cells)


def test_the_call_of_the_view_comes_with_the_words_for_it(session, cells):
    reading = cells.call.reading
    assert reading.call is Score.TWO
    assert reading.n_cells == sum(cells.cells["is_tumour"].to_pylist()) > 100
    assert cells.tumour_words == PROPOSAL
    assert cells.n_judged == 0
    assert not session.state.cell_work.doing
    assert session.state.selected.region == cells.region, "it is up for review"


def test_a_selected_region_is_read_and_nothing_outside_of_it(session, cells):
    triangle = Region("r1", "Region 1", ((60, 60), (60, 500), (420, 60)))
    session.set_regions((triangle,))
    session.select("r1")
    inner = read(session)
    assert inner.tumour_words == OWN_REGION
    assert 0 < inner.cells.num_rows < cells.cells.num_rows
    pair = session.state.pair
    places = np.stack([inner.cells[name].to_numpy() for name in ("y_px", "x_px")], -1)
    on_he = pair.he_to_ihc_um.inverse().apply(places * pair.ihc.mpp) / pair.he.mpp
    assert (on_he >= 60).all()
    assert ((on_he[:, 0] - 60) / 360 + (on_he[:, 1] - 60) / 440 <= 1).all()


def test_rejecting_all_stained_cells_lowers_the_call_and_is_journaled(
    session, cells, journal
):
    tumour = cells.cells["is_tumour"].to_numpy()
    stained = np.flatnonzero(tumour & (cells.cells["pattern"].to_numpy() > 0))
    assert len(stained) > 10
    for row in stained:
        session.cells.judge(int(row), CellVerdict.NOT_TUMOUR)
    reading = session.state.cells.call.reading
    assert reading.call != cells.call.reading.call
    assert reading.shares[MembranePattern.NONE].value == 1
    assert reading.n_cells == cells.call.reading.n_cells - len(stained)
    events = journal.events(session.state.case.case_id)
    told = [event for event in events if isinstance(event, CellCorrected)]
    assert len(told) == len(stained)
    assert {event.reader.name for event in told} == {"Dr A"}
    assert told[0].y_px == cells.cells["y_px"][int(stained[0])].as_py()


def test_corrections_come_back_with_the_case(session, cells, virtual_case):
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    session.close_case()
    assert session.state.cells is None
    session.open_case(virtual_case)
    session.set_view(BoxPx(0, 0, 2000, 2000))
    again = read(session)
    assert again.n_judged == 1
    assert again.cells["pattern"][5].as_py() == MembranePattern.COMPLETE_INTENSE


def test_a_word_is_taken_back_by_its_reader_alone(session, cells):
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    session.state.reader_name = "Dr B"
    assert not session.cells.can_take_back
    session.state.reader_name = "Dr A"
    session.cells.take_back()
    assert session.state.cells.n_judged == 0
    assert session.state.cells.cells.equals(cells.cells)
    assert not session.cells.can_take_back


def test_confirming_keeps_the_pattern_and_counts_as_looked_at(session, cells):
    session.cells.confirm(5)
    assert session.state.cells.judged[5]
    assert session.state.cells.cells["pattern"] == cells.cells["pattern"]


def test_the_call_waits_for_a_first_read_that_stays_once_it_is_shown(session, journal):
    session.state.first_read_required = True
    read(session)
    assert "first read" in session.cells.why_hidden()
    with pytest.raises(ReviewError, match="first read"):
        session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    assert not any(isinstance(event, CellsShown) for event in journal.events())
    session.reading.first_read(Score.ONE)
    assert session.cells.why_hidden() is None
    shown = [event for event in journal.events() if isinstance(event, CellsShown)]
    assert [(event.reader.name, event.call) for event in shown] == [
        ("Dr A", session.state.cells.call.reading.call)
    ]
    with pytest.raises(ReviewError, match="seen the call read from the cells"):
        session.reading.first_read(Score.TWO)
    session.reading.own_read(Score.TWO)
    assert session.state.selected.record.decision.first_read is Score.ONE
    session.state.reader_name = ""
    assert "name" in session.cells.why_hidden()


def test_nobody_corrects_without_a_name(session, cells, journal):
    session.state.reader_name = " "
    n_events = len(journal.events())
    with pytest.raises(ReviewError, match="No reader"):
        session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    assert len(journal.events()) == n_events
    assert session.state.cells is cells


def test_a_correction_is_no_region_to_decide(session, cells, tmp_path):
    session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    assert len(session.state.reviewed) == 1
    session.reading.export(tmp_path / "out")


def test_what_cannot_be_read_says_why(session, virtual_case):
    why_not = session.cells.why_not
    assert why_not() is None
    session.set_view(BoxPx(9000, 9000, 9100, 9100))
    assert "not in view" in why_not()
    with pytest.raises(NotReadyError, match="not in view"):
        session.cells.begin()
    session.set_view(BoxPx(0, 0, 400, 400))
    slide = session.state.pair.ihc
    session.quality.take(
        (QualityReport(Stain.IHC, slide.fingerprint, (PEN,), 1, 1, 1),)
    )
    assert PEN.sentence in why_not()
    session.quality.overrule(Stain.IHC, PEN, "clear here")
    assert why_not() is None
    he = session.state.case.he
    session.close_case()
    assert why_not() == "Open a case first."
    session.open_files(he, None)
    assert "no IHC slide" in why_not()


def test_a_slide_that_is_found_unfit_is_not_scored(session, monkeypatch):
    monkeypatch.setattr(
        "napari_her2.cells.why_not.assess_quality",
        lambda slide, stain: QualityReport(stain, slide.fingerprint, (PEN,), 1, 1, 1),
    )
    assert read(session) is None
    assert "Pen covers half" in session.state.notice.text


def test_moving_a_slide_keeps_what_was_read(session, cells):
    session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    assert session.state.cells is cells


def test_the_work_can_be_stopped_and_leaves_nothing(session):
    steps = session.cells.begin()
    session.cells.absorb(next(steps))
    assert "being read" in session.cells.why_not()
    steps.close()
    session.cells.end()
    assert session.state.cells is None
    assert isinstance(session.cells, CellReading)
    assert session.cells.why_not() is None
