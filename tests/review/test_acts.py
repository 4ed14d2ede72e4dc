"""Who may do what, when, and why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_her2.core.errors import ReviewError
from napari_her2.core.records import DecisionKind, Evidence, Reader
from napari_her2.core.region import Region
from napari_her2.core.score import NotAssessable, Score
from napari_her2.review import acts
from napari_her2.review.acts import Act, ReviewPolicy
from napari_her2.review.events import ReasonCode
from napari_her2.review.record import ReviewState

AI_FIRST = ReviewPolicy(first_read_required=False)


@pytest.fixture
def suggested(record, make_suggestion):
    return record.after(acts.suggest(record, make_suggestion()))


@pytest.fixture
def revealed(suggested, anna):
    read = suggested.after(acts.first_read(suggested, anna, Score.ONE))
    return read.after(acts.reveal(read, anna))


@pytest.fixture
def decided(revealed, anna):
    return revealed.after(acts.confirm(revealed, anna))


def test_confirming_adopts_the_call_that_was_shown(decided, anna, make_suggestion):
    decision = decided.decision

    assert decision.kind is DecisionKind.CONFIRM
    assert decision.call is Score.TWO
    assert decision.first_read is Score.ONE
    assert decision.suggestion == make_suggestion()
    assert decision.reader == anna
    assert decided.state is ReviewState.DECIDED


@pytest.mark.parametrize("act", list(Act))
def test_without_a_name_nothing_can_be_done(record, act):
    refusal = acts.why_not(record, act, None)

    assert "name" in str(refusal)


def test_own_read_comes_before_the_suggestion(suggested, anna):
    assert acts.allowed_acts(suggested, anna) == {
        Act.FIRST_READ,
        Act.OWN_READ,
        Act.DEFER,
    }
    for act in (acts.reveal, acts.confirm):
        with pytest.raises(ReviewError, match="first read"):
            act(suggested, anna)
    with pytest.raises(ReviewError, match="first read"):
        acts.override(suggested, anna, Score.ONE, ReasonCode.IN_SITU)


def test_a_site_may_show_the_suggestion_first(suggested, anna):
    event = acts.reveal(suggested, anna, policy=AI_FIRST)

    assert suggested.after(event).shown_to(anna) == suggested.suggestion


def test_deciding_needs_a_look_at_the_suggestion_even_without_the_policy(
    suggested, anna
):
    with pytest.raises(ReviewError, match="Reveal"):
        acts.confirm(suggested, anna, policy=AI_FIRST)


def test_first_read_can_be_corrected_until_the_suggestion_is_shown(suggested, anna):
    read = suggested.after(acts.first_read(suggested, anna, Score.ONE))
    read = read.after(acts.first_read(read, anna, Score.ZERO))
    assert read.first_read_of(anna) is Score.ZERO

    shown = read.after(acts.reveal(read, anna))
    with pytest.raises(ReviewError, match="stays as it is"):
        acts.first_read(shown, anna, Score.TWO)


def test_each_reader_reads_blind(revealed, ben):
    assert revealed.shown_to(ben) is None
    with pytest.raises(ReviewError, match="first read"):
        acts.reveal(revealed, ben)

    read = revealed.after(acts.first_read(revealed, ben, Score.THREE))
    shown = read.after(acts.reveal(read, ben))
    decision = shown.after(acts.confirm(shown, ben)).decision
    assert decision.first_read is Score.THREE
    assert decision.reader == ben


def test_a_stray_blank_makes_no_second_reader(revealed):
    with pytest.raises(ReviewError, match="stays as it is"):
        acts.first_read(revealed, Reader(" Dr.  Anna Müller "), Score.TWO)


def test_a_newer_suggestion_has_to_be_seen_before_it_is_decided_on(
    revealed, anna, make_suggestion
):
    newer = make_suggestion(Score.THREE, bundle_sha256="beef")
    record = revealed.after(acts.suggest(revealed, newer))

    with pytest.raises(ReviewError, match="newer"):
        acts.confirm(record, anna)
    with pytest.raises(ReviewError, match="newer"):
        acts.override(record, anna, Score.ONE, ReasonCode.IN_SITU)
    shown = record.after(acts.reveal(record, anna))
    assert shown.after(acts.confirm(shown, anna)).decision.call is Score.THREE


def test_a_stricter_policy_does_not_lock_out_who_saw_the_suggestion(
    suggested, anna, make_suggestion
):
    shown = suggested.after(acts.reveal(suggested, anna, policy=AI_FIRST))

    assert Act.CONFIRM in acts.allowed_acts(shown, anna)
    newer = shown.after(acts.suggest(shown, make_suggestion(Score.ONE)))
    assert Act.REVEAL in acts.allowed_acts(newer, anna)


def test_nothing_to_reveal_before_a_run(record, anna):
    with pytest.raises(ReviewError, match="Run the model"):
        acts.reveal(record, anna)


def test_a_suggestion_is_revealed_once(revealed, anna):
    with pytest.raises(ReviewError, match="have seen"):
        acts.reveal(revealed, anna)


def test_synthetic_ihc_never_becomes_a_score_alone(record, anna, make_suggestion):
    synthetic = make_suggestion(Score.TWO, Evidence.HE_ONLY)
    record = record.after(acts.suggest(record, synthetic))
    record = record.after(acts.first_read(record, anna, Score.TWO))
    record = record.after(acts.reveal(record, anna))

    with pytest.raises(ReviewError, match="synthetic"):
        acts.confirm(record, anna)
    event = acts.override(record, anna, Score.TWO, ReasonCode.IHC_READ_ELSEWHERE)
    decision = record.after(event).decision
    assert decision.kind is DecisionKind.OVERRIDE
    assert decision.reason == "real IHC read elsewhere"


def test_a_forced_score_is_not_confirmed_but_may_be_given(
    record, anna, make_suggestion
):
    forced = replace(make_suggestion(Score.TWO), forced=True)
    record = record.after(acts.suggest(record, forced))
    record = record.after(acts.reveal(record, anna, policy=AI_FIRST))

    with pytest.raises(ReviewError, match="forced"):
        acts.confirm(record, anna)
    event = acts.override(record, anna, Score.TWO, ReasonCode.OTHER, "I see 2+")
    assert record.after(event).decision.suggestion.forced


def test_not_assessable_can_be_confirmed_from_synthetic_ihc(
    record, anna, make_suggestion
):
    nothing = make_suggestion(NotAssessable("no invasive tumour"), Evidence.HE_ONLY)
    record = record.after(acts.suggest(record, nothing))
    record = record.after(acts.reveal(record, anna, policy=AI_FIRST))

    decision = record.after(acts.confirm(record, anna)).decision
    assert decision.call == NotAssessable("no invasive tumour")


def test_an_override_says_why(revealed, anna):
    with pytest.raises(ReviewError, match="needs a reason"):
        acts.override(revealed, anna, Score.ONE, None)
    with pytest.raises(ReviewError, match="needs words"):
        acts.override(revealed, anna, Score.ONE, ReasonCode.OTHER, "  ")

    event = acts.override(revealed, anna, Score.ONE, ReasonCode.IN_SITU, " DCIS at 3h ")
    decision = revealed.after(event).decision
    assert decision.reason == "in-situ counted: DCIS at 3h"
    assert decision.call is Score.ONE
    assert decision.suggestion.call is Score.TWO


def test_agreeing_is_no_override(revealed, anna):
    with pytest.raises(ReviewError, match="Confirm it"):
        acts.override(revealed, anna, Score.TWO, ReasonCode.IN_SITU)


def test_a_person_may_decide_without_any_suggestion(record, suggested, anna):
    for blind in (record, suggested):
        event = acts.own_read(blind, anna, Score.THREE, "clear")
        decision = blind.after(event).decision
        assert decision.kind is DecisionKind.OWN_READ
        assert decision.suggestion is None
        assert decision.reason == "clear"


def test_who_saw_the_suggestion_has_no_own_read(revealed, anna):
    with pytest.raises(ReviewError, match="have seen"):
        acts.own_read(revealed, anna, Score.ONE)


def test_a_decision_is_superseded_only_after_reopening(decided, anna, ben):
    assert acts.allowed_acts(decided, ben) == {Act.REOPEN}
    with pytest.raises(ReviewError, match="Reopen"):
        acts.override(decided, anna, Score.ONE, ReasonCode.IN_SITU)
    with pytest.raises(ReviewError, match="needs a reason"):
        acts.reopen(decided, ben, " ")

    opened = decided.after(acts.reopen(decided, ben, "second opinion"))
    assert opened.decision is None
    assert opened.state is ReviewState.REVEALED
    again = opened.after(
        acts.override(opened, anna, Score.ONE, ReasonCode.OTHER, "edge")
    )
    assert [d.call for d in again.decisions] == [Score.TWO, Score.ONE]
    assert again.decision == again.decisions[-1]


def test_only_a_closed_region_is_reopened(revealed, anna):
    with pytest.raises(ReviewError, match="open"):
        acts.reopen(revealed, anna, "why not")


def test_deferring_says_why_and_closes_the_region(revealed, anna):
    with pytest.raises(ReviewError, match="needs a reason"):
        acts.defer(revealed, anna, "")
    deferred = revealed.after(acts.defer(revealed, anna, "waiting for ISH"))

    assert deferred.state is ReviewState.DEFERRED
    assert deferred.deferral.note == "waiting for ISH"
    assert deferred.decision is None
    assert acts.allowed_acts(deferred, anna) == {Act.REOPEN}


def test_a_suggestion_made_elsewhere_is_refused(record, make_suggestion):
    with pytest.raises(ReviewError, match="another region"):
        acts.suggest(record, make_suggestion(region_id="r2"))
    he_only = replace(record, key=replace(record.key, slides=(("he", "x"),)))
    with pytest.raises(ReviewError, match="other slides"):
        acts.suggest(he_only, make_suggestion())


def test_an_outline_moves_until_somebody_read_it(record, anna, make_suggestion):
    square = Region("r1", "Nest", ((0, 0), (0, 9), (9, 9), (9, 0)))
    moved = replace(square, vertices_yx=((5, 5), (5, 9), (9, 9)))
    record = record.after(acts.draw(record, square))
    record = record.after(acts.suggest(record, make_suggestion()))
    record = record.after(acts.draw(record, moved))
    assert record.region == moved
    assert record.suggestion is None

    gone = record.after(acts.remove(record))
    assert gone.region is None
    read = record.after(acts.first_read(record, anna, Score.ONE))
    for change in (lambda: acts.draw(read, square), lambda: acts.remove(read)):
        with pytest.raises(ReviewError, match="Nest was read already"):
            change()
