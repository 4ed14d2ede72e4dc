"""Cells of the IHC slide are read in a region, corrected by a person, and kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_her2.app.cell_reading import CellReading
from napari_her2.app.cells_read import OWN_REGION, PROPOSAL
from napari_her2.app.pairing import Checked
from napari_her2.app.session import Session
from napari_her2.cells.why_not import Objections
from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.errors import NotReadyError, ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.records import Evidence, Provenance, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.registration import RegistrationError
from napari_her2.core.score import Score, Stain
from napari_her2.review.acts import Act
from napari_her2.review.events import (
    CellCorrected,
    CellsShown,
    RegionKey,
    SuggestionMade,
)
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


def test_the_call_is_revealed_after_a_first_read_and_confirmed(session, journal):
    session.state.first_read_required = True
    read(session)
    assert "first read" in session.cells.why_hidden()
    with pytest.raises(ReviewError, match="first read"):
        session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    session.reading.first_read(Score.ONE)
    assert "Reveal it" in session.cells.why_hidden()
    session.reading.reveal()
    assert session.cells.why_hidden() is None
    with pytest.raises(ReviewError, match="first read stays"):
        session.reading.first_read(Score.TWO)
    session.reading.confirm()
    decision = session.state.selected.record.decision
    assert (decision.call, decision.first_read) == (Score.TWO, Score.ONE)
    assert decision.suggestion.cells.reading == session.state.cells.call.reading
    assert decision.beside is None
    with pytest.raises(ReviewError, match="decided"):
        session.cells.judge(0, CellVerdict.NOT_TUMOUR)
    session.state.reader_name = ""
    assert "name" in session.cells.why_hidden()


def test_the_suggestion_says_how_to_read_the_same_cells_again(session, cells):
    made = session.state.selected.suggestion
    assert made.evidence is Evidence.CELLS
    told = dict(made.provenance.parameters)
    assert made.provenance.slides == session.state.pair.fingerprints
    assert made.provenance.software.startswith("napari-her2 ")
    assert json.loads(told["stain_vectors_od"])["second"][2] > 0.5
    assert json.loads(told["thresholds"])["complete_share"] > 0
    assert json.loads(told["limits"])["least_cells"] > 0
    assert len(json.loads(told["white_rgb"])) == 3
    assert told["slide_um_per_px"] == str(session.state.pair.ihc.mpp)
    outline = [list(corner) for corner in cells.region.vertices_yx]
    assert json.loads(told["region_yx_px"]) == outline


def test_a_correction_makes_a_new_version_that_its_reader_has_seen(
    session, cells, journal
):
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    made = [e.suggestion for e in journal.events() if isinstance(e, SuggestionMade)]
    assert [one.cells.n_judged for one in made] == [0, 1]
    row = session.state.selected
    assert row.suggestion == made[-1]
    session.reading.confirm()
    assert session.state.selected.record.decision.suggestion == made[-1]


def test_a_second_reader_sees_no_corrections_before_they_reveal(session):
    session.state.first_read_required = True
    read(session)
    session.reading.first_read(Score.TWO)
    session.reading.reveal()
    session.state.reader_name = "Dr B"
    session.reading.first_read(Score.TWO)
    session.reading.reveal()
    session.state.reader_name = "Dr A"
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    assert session.cells.why_hidden() is None
    session.state.reader_name = "Dr B"
    assert "Reveal it" in session.cells.why_hidden()
    assert session.state.selected.suggestion is None
    assert "newer suggestion" in session.reading.refusal(Act.CONFIRM)
    session.state.reader_name = "Dr C"
    assert "first read" in session.cells.why_hidden()


def test_the_network_stands_beside_the_cells_that_lead(session, cells, journal):
    region = cells.region
    network = Suggestion(
        region.region_id, Score.ONE, ((Score.ONE, 1.0),), Evidence.BOTH,
        region.bounds, 1, Provenance(session.state.pair.fingerprints, "b", "ab", "0"),
    )  # fmt: skip
    session.reading.suggest(region, network)
    row = session.state.selected
    assert (row.suggestion.call, row.by_network.call) == (Score.TWO, Score.ONE)
    session.reading.confirm()
    decision = session.state.selected.record.decision
    assert decision.call is Score.TWO
    assert decision.beside == network


def test_a_correction_reveals_no_network_that_nobody_asked_for(session):
    session.state.first_read_required = True
    found = read(session)
    session.reading.first_read(Score.TWO)
    session.reading.reveal()
    region = found.region
    network = Suggestion(
        region.region_id, Score.ONE, ((Score.ONE, 1.0),), Evidence.BOTH,
        region.bounds, 1, Provenance(session.state.pair.fingerprints, "b", "ab", "0"),
    )  # fmt: skip
    session.reading.suggest(region, network)
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    row = session.state.selected
    assert row.by_cells.cells.n_judged == 1
    assert row.by_network is None
    assert row.network_hidden
    session.reading.reveal()
    assert session.state.selected.by_network == network


def test_a_journal_that_was_shown_cells_before_keeps_the_first_read(session, journal):
    session.state.first_read_required = True
    read(session)
    session.reading.first_read(Score.ONE)
    record = session.state.selected.record
    journal.append(
        CellsShown(
            key=record.key,
            utc=datetime.now(UTC),
            reader=session.state.reader,
            call=Score.TWO,
        )
    )
    key = session.state.pair.fingerprints
    session.reading.open(RegionKey(record.case_id, key))
    with pytest.raises(ReviewError, match="seen the call read from the cells"):
        session.reading.first_read(Score.TWO)
    session.reading.reveal()
    session.reading.confirm()


def test_what_lies_in_an_excluded_area_does_not_count(session, cells, journal):
    half = Region.from_points("x1", "Duct", [(0, 0), (0, 300), (600, 300), (600, 0)])
    session.set_regions((replace(half, is_excluded=True),))
    left = session.state.cells
    assert 0 < left.call.reading.n_cells < cells.call.reading.n_cells
    assert session.state.selected.suggestion.cells.reading == left.call.reading
    told = dict(session.state.selected.suggestion.provenance.parameters)
    assert json.loads(told["excluded_yx_px"]) == [[list(c) for c in half.vertices_yx]]
    session.select("x1")
    assert "excluded" in session.cells.why_not()
    session.set_regions(())
    assert session.state.cells.call.reading == cells.call.reading


def test_a_region_that_was_read_gets_a_name_and_keeps_its_call(session):
    triangle = Region("r1", "Region 1", ((60, 60), (60, 500), (420, 60)))
    session.set_regions((triangle,))
    session.select("r1")
    read(session)
    session.reading.confirm()
    session.set_regions((replace(triangle, name="Nest A"),))
    assert session.state.selected.region.name == "Nest A"
    assert session.state.selected.record.decision.suggestion is not None
    assert session.state.cells.region.name == "Nest A"
    with pytest.raises(ReviewError, match="keeps its outline"):
        session.set_regions((replace(triangle, is_excluded=True),))


def test_a_region_that_moves_loses_its_cells(session):
    session.state.first_read_required = True
    triangle = Region("r1", "Region 1", ((60, 60), (60, 500), (420, 60)))
    session.set_regions((triangle,))
    session.select("r1")
    assert read(session) is not None
    session.set_regions(())
    assert session.state.cells is None


def test_the_same_view_is_not_read_twice(session, cells, monkeypatch):
    def read_again(*args):
        raise AssertionError("a tile was read again")

    monkeypatch.setattr("napari_her2.cells.reading._read_tile", read_again)
    session.set_view(BoxPx(20, 20, 300, 300))
    assert read(session).cells.num_rows > 0


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


def test_a_region_where_the_slides_lie_apart_is_not_read(session):
    good = [ErrorCell(row, 0, 1.0, 3.0) for row in range(20)]
    local = ErrorMap((0.0, 0.0), 100.0, (*good, ErrorCell(0, 1, 1.0, 160.0)))
    error = RegistrationError(2.0, 6.0, 90, 100, 3.0, local=local)
    registration = replace(session.state.pair.registration, error=error)
    session.pairing.absorb(Checked(registration))
    um = 1 / session.state.pair.reference.mpp
    session.set_view(BoxPx(0, 0, round(90 * um), round(90 * um)))
    assert session.cells.why_not() is None
    session.set_view(BoxPx(0, round(110 * um), round(90 * um), round(150 * um)))
    assert "160 µm apart" in session.cells.why_not()


def test_a_slide_that_is_found_unfit_is_not_scored(session, monkeypatch):
    monkeypatch.setattr(
        "napari_her2.cells.why_not.assess_quality",
        lambda slide, stain: QualityReport(stain, slide.fingerprint, (PEN,), 1, 1, 1),
    )
    assert read(session) is None
    assert "Pen covers half" in session.state.notice.text


def test_a_doubt_about_the_stain_is_told_with_the_call(session, monkeypatch):
    monkeypatch.setattr(
        "napari_her2.cells.why_not.why_not_scored",
        lambda *_: Objections(doubt="no membrane stands out"),
    )
    found = read(session)
    session.cells.judge(5, CellVerdict.COMPLETE_INTENSE)
    for basis in (found.call, session.state.selected.suggestion.cells):
        assert basis.reading.advice[-1] == "no membrane stands out"


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
