"""Control tissue marked in the window sets the thresholds of cells, and says so."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_her2.app.control_use import CHANGED, SWITCHED_OFF
from napari_her2.app.session import Session
from napari_her2.core.errors import ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.review.events import ControlsUsed
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
)

MPP = 0.5
GAP_PX = 60
PALE = 0.75
TUMOUR = draw_recipe(5014, stratum=Score.THREE, width_um=260.0, height_um=260.0)
CONTROL = replace(
    draw_recipe(8801, width_um=260.0, height_um=260.0),
    membranes=replace(TUMOUR.membranes, shares=MembraneShares(0.9, 0.1, 0, 0)),
)


def field(recipe):
    stain = replace(TUMOUR.ihc, second_od=PALE * TUMOUR.ihc.second_od)
    pair = VirtualPair(replace(recipe, ihc=stain))
    return pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))


@pytest.fixture(scope="module")
def pale(tmp_path_factory):
    """A pale 3+ and, beside it, its 3+ control; the boxes of both."""
    left, right = field(TUMOUR), field(CONTROL)
    glass = np.full((len(left), GAP_PX, 3), 243, np.uint8)
    image = np.concatenate([left, glass, right], 1)
    path = tmp_path_factory.mktemp("pale") / "pale.tif"
    write_pyramid(
        path,
        image.shape[:2],
        MPP,
        lambda box: image[box.y0 : box.y1, box.x0 : box.x1],
    )
    x1, height = left.shape[1], len(left)
    control = BoxPx(0, x1 + GAP_PX, height, image.shape[1])
    return path, BoxPx(0, 0, height, x1), control


@pytest.fixture
def session(journal, own_folders, pale):
    opened = Session(journal, cache_dir=own_folders / "cache")
    opened.state.reader_name = "Dr A"
    opened.state.first_read_required = False
    path, tumour, _ = pale
    opened.open_files(None, path)
    opened.set_view(tumour)
    look(opened)
    yield opened
    opened.close_case()


def look(session):
    """Look at the quality, as a window does beside itself."""
    if (work := session.quality.look()) is not None:
        session.quality.take(work())


def mark(session, score, box):
    session.quality.mark_control(score, box)
    look(session)


def read(session):
    for step in session.cells.begin():
        session.cells.absorb(step)
    session.cells.end()
    return session.state.cells


def told(session):
    suggestion = session.state.selected.suggestion
    return suggestion.cells, dict(suggestion.provenance.parameters)


def test_a_3_control_sets_the_thresholds_and_the_result_keeps_its_factor(session, pale):
    without = read(session)
    basis, parameters = told(session)
    assert (basis.controls, parameters["dab_factor"]) == ("", "1.0")
    mark(session, Score.THREE, pale[2])
    assert session.state.cells is None, "read with other thresholds"
    assert session.cells.why_stale(session.state.selected.suggestion) == CHANGED
    by_control = read(session)
    basis, parameters = told(session)
    factor = float(parameters["dab_factor"])
    assert 0.6 <= factor < 0.95
    assert f"× {factor:.2f} by the 3+ control" in basis.controls
    boxes = json.loads(parameters["control_tissue_px"])
    assert boxes == [["3+", list(pale[2].as_tuple())]]
    assert json.loads(parameters["thresholds"])["intense_od"] == pytest.approx(
        0.5 * factor
    )
    assert session.cells.why_stale(session.state.selected.suggestion) == ""
    intense = [one.call.reading.shares[4].value for one in (without, by_control)]
    assert intense[1] > intense[0] + 0.05


def test_it_can_be_switched_off_and_stays_so_when_the_case_is_opened_again(
    session, journal, pale
):
    mark(session, Score.THREE, pale[2])
    session.quality.use_controls(False)
    *_, event = journal.events()
    assert isinstance(event, ControlsUsed)
    assert (event.is_used, event.reader.name) == (False, "Dr A")
    n_events = len(journal.events())
    session.quality.use_controls(False)
    assert len(journal.events()) == n_events, "nothing new was said"
    read(session)
    basis, parameters = told(session)
    assert basis.controls == SWITCHED_OFF
    assert parameters["dab_factor"] == "1.0"
    session.close_case()
    assert session.state.use_controls
    session.open_files(None, pale[0])
    assert not session.state.use_controls
    session.quality.use_controls(True)
    assert session.state.use_controls


def test_nobody_switches_without_a_name(session, journal):
    session.state.reader_name = ""
    with pytest.raises(ReviewError):
        session.quality.use_controls(False)
    assert session.state.use_controls


def test_marks_whose_check_failed_set_nothing_also_when_overruled(session, pale):
    mark(session, Score.ZERO, pale[2])
    (report,) = session.state.quality
    assert report.of(FindingKind.CONTROL).severity is Severity.BLOCK
    assert "its 0 has a DAB density" in session.cells.why_not()
    session.quality.overrule(Stain.IHC, report.of(FindingKind.CONTROL), "read anyway")
    assert read(session) is not None
    basis, parameters = told(session)
    assert "The control tissue failed: its 0 has" in basis.controls
    assert "The usual thresholds hold." in basis.controls
    assert parameters["dab_factor"] == "1.0"


def test_marks_that_nobody_looked_at_yet_are_checked_before_cells_are_read(
    session, pale
):
    session.quality.mark_control(Score.ZERO, pale[2])
    assert session.state.quality == ()
    assert read(session) is None
    assert "The control tissue failed" in session.state.notice.text


def test_a_control_without_cells_sets_nothing_and_says_why(session, pale, monkeypatch):
    fine = Finding(FindingKind.CONTROL, Severity.NOTE, 0.0, "Fine.")
    fingerprint = session.state.pair.ihc.fingerprint
    session.quality.mark_control(Score.THREE, BoxPx(0, pale[1].x1, 40, pale[2].x0))
    report = QualityReport(Stain.IHC, fingerprint, (fine,), 0.5, 1, 1)
    session.quality.take((report,))
    assert read(session) is not None
    basis, parameters = told(session)
    assert "cannot be used: the 3+ has 0 cells" in basis.controls
    assert "The usual thresholds hold." in basis.controls
    assert parameters["dab_factor"] == "1.0"


def test_cells_of_control_tissue_do_not_count(session, pale):
    whole = BoxPx.of_shape(session.state.pair.ihc.shape)
    session.set_view(whole)
    everything = read(session).call.reading.n_cells
    mark(session, Score.ONE, pale[2])
    left = session.state.cells.call.reading.n_cells
    assert 0 < left < 0.7 * everything
    assert session.state.selected.suggestion.cells.reading.n_cells == left
    basis, parameters = told(session)
    assert basis.controls == "", "a 1+ sets no thresholds"
    left_out = json.loads(parameters["controls_left_out_px"])
    assert left_out == [list(pale[2].as_tuple())]
