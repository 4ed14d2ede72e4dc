import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_her2.app.reading import Reading
from napari_her2.app.run_plan import view_region_id
from napari_her2.app.state import SessionState
from napari_her2.core.errors import ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Evidence, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Score
from napari_her2.review.acts import Act
from napari_her2.review.events import ReasonCode, RegionKey
from napari_her2.review.journal import Journal
from napari_her2.review.record import ReviewState

SLIDES = (("he", "blake2b:01"), ("ihc", "blake2b:02"))
MakeSuggestion = Callable[..., Suggestion]


def test_a_suggestion_is_withheld_until_the_first_read(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.suggest(region, suggestion("r1"))
    row = reading.state.selected
    assert row is not None
    assert row.suggestion is None
    assert row.suggestion_hidden
    assert "first read" in (reading.refusal(Act.REVEAL) or "")

    reading.first_read(Score.ONE)
    reading.reveal()
    row = reading.state.selected
    assert row is not None
    assert row.suggestion == suggestion("r1")


def test_without_the_preference_a_suggestion_is_shown_and_noted_as_shown(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.state.first_read_required = False
    reading.suggest(region, suggestion("r1"))
    row = reading.state.selected
    assert row is not None
    assert row.suggestion is not None
    assert row.record.state is ReviewState.REVEALED


def test_nothing_is_shown_to_a_reader_without_a_name(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.state.first_read_required = False
    reading.state.reader_name = " "
    reading.suggest(region, suggestion("r1"))
    assert reading.state.selected is not None
    assert reading.state.selected.suggestion is None
    reading.state.reader_name = "Dr A"
    reading.refresh()
    assert reading.state.selected.suggestion is not None


def test_another_reader_at_the_same_screen_starts_blind(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.suggest(region, suggestion("r1"))
    reading.first_read(Score.ONE)
    reading.reveal()
    reading.state.reader_name = "Dr B"
    reading.refresh()
    assert reading.state.selected is not None
    assert reading.state.selected.suggestion is None


def test_a_case_comes_back_as_it_was_left(
    reading: Reading, region: Region, journal: Journal, suggestion: MakeSuggestion
) -> None:
    reading.draw((region,))
    reading.suggest(region, suggestion("r1"))
    reading.first_read(Score.ONE)
    reading.reveal()
    reading.override(Score.ONE, ReasonCode.CYTOPLASMIC)

    state = SessionState(reader_name="Dr A")
    Reading(state, journal).open(RegionKey("case-1", SLIDES))
    assert state.regions == (region,)
    assert [row.record.state for row in state.reviewed] == [ReviewState.DECIDED]
    assert state.selected_id == "r1"
    decision = state.reviewed[0].record.decision
    assert decision is not None
    assert decision.call is Score.ONE


def test_decisions_do_not_pass_to_other_slides_under_the_same_name(
    reading: Reading, region: Region, journal: Journal, suggestion: MakeSuggestion
) -> None:
    reading.draw((region,))
    reading.suggest(region, suggestion("r1"))
    state = SessionState(reader_name="Dr A")
    Reading(state, journal).open(RegionKey("case-1", (("he", "blake2b:99"),)))
    assert state.regions == ()
    assert state.reviewed == ()


def test_a_region_that_was_read_keeps_its_outline(
    reading: Reading, region: Region
) -> None:
    reading.draw((region,))
    reading.select("r1")
    reading.first_read(Score.TWO)
    announced = []
    reading.state.events.regions.connect(announced.append)
    moved = Region.from_box("r1", "Region 1", BoxPx(5, 5, 50, 80))
    with pytest.raises(ReviewError):
        reading.draw((moved,))
    with pytest.raises(ReviewError):
        reading.draw(())
    assert reading.state.regions == (region,)
    assert announced == [(region,), (region,)]


def test_an_outline_that_moves_loses_its_suggestion(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.draw((region,))
    reading.suggest(region, suggestion("r1"))
    moved = Region.from_box("r1", "Region 1", BoxPx(5, 5, 50, 80))
    reading.draw((moved,))
    assert reading.state.reviewed == ()
    reading.select("r1")
    assert reading.state.selected is not None
    assert reading.state.selected.record.suggestion is None


def test_views_nobody_read_do_not_pile_up(
    reading: Reading, suggestion: MakeSuggestion
) -> None:
    boxes = [BoxPx(0, 0, 10 + k, 10) for k in range(3)]
    for k, box in enumerate(boxes):
        name = view_region_id(box)
        reading.forget_passing_views()
        reading.suggest(Region.from_box(name, "View", box), suggestion(name))
        if k == 1:
            reading.first_read(Score.ZERO)
    names = [row.region.region_id for row in reading.state.reviewed]
    assert names == [view_region_id(boxes[1]), view_region_id(boxes[2])]


def test_a_new_suggestion_does_not_reopen_a_decision(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.draw((region,))
    reading.select("r1")
    reading.own_read(Score.THREE)
    reading.suggest(region, suggestion("r1", Score.ZERO))
    assert reading.state.selected is not None
    assert reading.state.selected.record.suggestion is None
    assert reading.state.selected.record.state is ReviewState.DECIDED


def test_a_synthetic_score_cannot_be_confirmed(
    reading: Reading, region: Region, suggestion: MakeSuggestion
) -> None:
    reading.suggest(region, suggestion("r1", Score.THREE, Evidence.HE_ONLY))
    reading.first_read(Score.THREE)
    reading.reveal()
    assert "synthetic" in (reading.refusal(Act.CONFIRM) or "")
    with pytest.raises(ReviewError):
        reading.confirm()
    reading.override(Score.THREE, ReasonCode.IHC_READ_ELSEWHERE)


def test_export_lists_undecided_regions_as_pending(
    reading: Reading,
    region: Region,
    tmp_path: Path,
    journal: Journal,
    suggestion: MakeSuggestion,
) -> None:
    reading.draw((region,))
    reading.suggest(region, suggestion("r1"))
    paths = reading.export(tmp_path / "out")
    content = json.loads(next(p for p in paths if p.suffix == ".json").read_text())
    assert "pending" in json.dumps(content)
    assert journal.verify() is None


def test_a_case_that_was_only_opened_exports_as_pending(
    reading: Reading, tmp_path: Path
) -> None:
    paths = reading.export(tmp_path / "out")
    text = next(p for p in paths if p.suffix == ".csv").read_text()
    assert "pending" in text


def test_without_a_region_every_act_is_refused(reading: Reading) -> None:
    assert all(reading.refusal(act) for act in Act)
    with pytest.raises(ReviewError):
        reading.first_read(Score.ZERO)
