"""Histories fold to records, whatever was done in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.errors import ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import (
    DecisionKind,
    Evidence,
    Provenance,
    Reader,
    Suggestion,
)
from napari_her2.core.region import Region
from napari_her2.core.score import NotAssessable, Score
from napari_her2.review import acts
from napari_her2.review.events import (
    CaseOpened,
    Confirmed,
    Exported,
    FirstRead,
    OwnRead,
    ReasonCode,
    RegionDrawn,
    RegionKey,
    RegionRemoved,
    Reopened,
    Revealed,
)
from napari_her2.review.record import ReviewRecord, ReviewState, fold, record_of

SLIDES = (("he", "blake2b:aa"),)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
CALLS = [*Score, NotAssessable("control failed")]
READERS = [Reader("Anna"), Reader("Ben")]
KEYS = [RegionKey("case", SLIDES, name) for name in ("", "r1", "r2")]


def suggestion(region_id, call, evidence):
    made_by = Provenance(SLIDES, "demo", "c0ffee", "napari-her2 0.1.0")
    return Suggestion(region_id, call, (), evidence, BoxPx(0, 0, 9, 9), 1, made_by)


def attempt(record, choice):
    """Return the event of one act, None if the rules refuse it."""
    kind, reader, call, evidence, required = choice
    policy = acts.ReviewPolicy(first_read_required=required)
    code = ReasonCode.IN_SITU
    try:
        match kind:
            case "open":
                return CaseOpened(key=record.key.case, utc=WHEN)
            case "suggest":
                made = suggestion(record.region_id, call, evidence)
                return acts.suggest(record, made, utc=WHEN)
            case acts.Act.FIRST_READ:
                return acts.first_read(record, reader, call, policy=policy, utc=WHEN)
            case acts.Act.REVEAL:
                return acts.reveal(record, reader, policy=policy, utc=WHEN)
            case acts.Act.CONFIRM:
                return acts.confirm(record, reader, policy=policy, utc=WHEN)
            case acts.Act.OVERRIDE:
                return acts.override(
                    record, reader, call, code, policy=policy, utc=WHEN
                )
            case acts.Act.OWN_READ:
                return acts.own_read(record, reader, call, policy=policy, utc=WHEN)
            case acts.Act.DEFER:
                return acts.defer(record, reader, "later", policy=policy, utc=WHEN)
            case acts.Act.REOPEN:
                return acts.reopen(record, reader, "again", policy=policy, utc=WHEN)
    except ReviewError:
        return None


choices = st.tuples(
    st.sampled_from(["open", "suggest", "suggest", *acts.Act]),
    st.sampled_from(READERS),
    st.sampled_from(CALLS),
    st.sampled_from(Evidence),
    st.booleans(),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(KEYS), choices), max_size=40))
def test_any_sequence_of_acts_folds_to_a_legal_record(steps):
    events = []
    for key, choice in steps:
        event = attempt(record_of(events, key), choice)
        if event is not None:
            events.append(event)

    for record in fold(events):
        assert record == record_of(events, record.key)
        assert_legal(record)


def assert_legal(record):
    """Hold a record against the rules, told from its history alone."""
    closed = False
    seen = set()
    for event in record.history:
        if isinstance(event, Reopened):
            assert closed
            closed = False
        elif event in record.acts:
            assert not closed
            closed = not isinstance(event, FirstRead | Revealed)
        if isinstance(event, FirstRead):
            assert event.reader not in seen
        if isinstance(event, Revealed):
            seen.add(event.reader)
        if isinstance(event, OwnRead):
            assert event.reader not in seen
    assert record.is_closed == closed
    assert (record.decision is not None) == (record.state is ReviewState.DECIDED)
    assert (record.deferral is not None) == (record.state is ReviewState.DEFERRED)
    if record.decision is not None:
        assert record.decision == record.decisions[-1]
    for decision in record.decisions:
        assert (decision.suggestion is None) == (decision.kind is DecisionKind.OWN_READ)
        if decision.kind is DecisionKind.CONFIRM:
            assert decision.call == decision.suggestion.call
            scored = isinstance(decision.call, Score)
            assert not (scored and decision.suggestion.evidence.is_synthetic)
        if decision.kind is DecisionKind.OVERRIDE:
            assert decision.reason


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(KEYS), choices), max_size=25))
def test_folding_a_prefix_and_going_on_is_folding_it_all(steps):
    events = []
    records = {key: ReviewRecord(key) for key in KEYS}
    for key, choice in steps:
        event = attempt(records[key], choice)
        if event is None:
            continue
        events.append(event)
        records[event.key] = records[event.key].after(event)
        for known in KEYS:
            assert record_of(events, known) == records[known]
        assert set(fold(events)) <= set(records.values())
    for record in fold(events):
        # what was decided once is never gone
        for n in range(len(record.history)):
            earlier = replace(record, history=record.history[:n]).decisions
            assert record.decisions[: len(earlier)] == earlier


@given(st.data())
def test_whatever_a_journal_holds_can_be_folded(data):
    reader = READERS[0]
    made = suggestion("r1", Score.TWO, Evidence.BOTH)
    plain = {"key": KEYS[1], "utc": WHEN, "reader": reader}
    pool = [
        Confirmed(**plain, call=Score.TWO),
        OwnRead(**plain, call=Score.ONE),
        Revealed(**plain, suggestion=made),
        Reopened(**plain, note="again"),
        FirstRead(**plain, call=Score.ZERO),
    ]
    events = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=12))

    (record,) = fold(events)
    n_decided = sum(isinstance(event, Confirmed | OwnRead) for event in events)
    assert len(record.decisions) == n_decided
    assert record.state in ReviewState


def test_an_opened_case_is_pending_until_a_region_stands_for_it():
    case, region, _ = KEYS
    opened = CaseOpened(key=case, utc=WHEN)
    exported = Exported(key=case, utc=WHEN, files=(), journal_head="0")
    read = FirstRead(key=region, utc=WHEN, reader=READERS[0], call=Score.ONE)

    assert [r.key for r in fold([opened, exported])] == [case]
    assert fold([opened])[0].state is ReviewState.PENDING
    assert [r.key for r in fold([opened, read])] == [region]
    decided = OwnRead(key=case, utc=WHEN, reader=READERS[0], call=Score.ONE)
    assert [r.key for r in fold([opened, read, decided])] == [case, region]


def test_a_removed_region_is_left_out_unless_it_was_read():
    case, key, _ = KEYS
    outline = Region("r1", "Nest", ((0, 0), (0, 9), (9, 9)))
    opened = CaseOpened(key=case, utc=WHEN)
    drawn = RegionDrawn(key=key, utc=WHEN, region=outline)
    removed = RegionRemoved(key=key, utc=WHEN)
    decided = OwnRead(key=key, utc=WHEN, reader=READERS[0], call=Score.ONE)

    assert [r.key for r in fold([opened, drawn, removed])] == [case]
    assert [r.key for r in fold([drawn, removed, drawn])] == [key]
    assert [r.key for r in fold([drawn, decided, removed])] == [key]


def test_other_slides_under_the_same_name_inherit_no_decision():
    key = RegionKey("case", (("he", "one"),), "r1")
    other = replace(key, slides=(("he", "two"),))
    decided = OwnRead(key=key, utc=WHEN, reader=READERS[0], call=Score.THREE)

    assert record_of([decided], other).state is ReviewState.PENDING


def test_the_order_in_which_slides_are_named_does_not_matter():
    pair = (("ihc", "b"), ("he", "a"))
    assert RegionKey("case", pair) == RegionKey("case", tuple(reversed(pair)))


def test_events_are_about_a_named_case_in_utc():
    with pytest.raises(ValueError, match="needs a name"):
        RegionKey("  ")
    for wrong in (datetime(2026, 1, 1), WHEN.astimezone(timezone(timedelta(hours=2)))):
        with pytest.raises(ValueError, match="UTC"):
            CaseOpened(key=KEYS[0], utc=wrong)
    outline = Region("r9", "Nest", ((0, 0), (0, 9), (9, 9)))
    with pytest.raises(ValueError, match="not the one"):
        RegionDrawn(key=KEYS[1], utc=WHEN, region=outline)


def test_a_record_takes_only_its_own_events():
    with pytest.raises(ValueError, match="not the region"):
        ReviewRecord(KEYS[1]).after(CaseOpened(key=KEYS[0], utc=WHEN))
