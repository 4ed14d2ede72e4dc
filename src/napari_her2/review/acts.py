"""The rules of a review: who may do what, when, and why not.

Every act of a person is a function that checks the rules on the record as it
stands and returns the event to append, or raises :class:`ReviewError`. The same
rules (:func:`why_not`) enable the buttons and write their tooltips.

The reading order (own read first, suggestion second) keeps a suggestion from
anchoring the reader: Rosbach 2026, arXiv 2603.11821.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import assert_never

from napari_her2.core.errors import ReviewError
from napari_her2.core.records import Reader, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Call, Score
from napari_her2.review.events import (
    Confirmed,
    Deferred,
    FirstRead,
    Overridden,
    OwnRead,
    ReasonCode,
    RegionDrawn,
    RegionRemoved,
    Reopened,
    Revealed,
    SuggestionMade,
)
from napari_her2.review.record import ReviewRecord


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """How a site reads.

    Parameters
    ----------
    first_read_required
        Whether a reader locks their own call before the suggestion is shown.
    """

    first_read_required: bool = True


DEFAULT_POLICY = ReviewPolicy()


class Act(StrEnum):
    """What a person can do with a region."""

    FIRST_READ = "first read"
    REVEAL = "reveal"
    CONFIRM = "confirm"
    OVERRIDE = "override"
    OWN_READ = "own read"
    DEFER = "defer"
    REOPEN = "reopen"


def why_not(
    record: ReviewRecord,
    act: Act,
    reader: Reader | None,
    policy: ReviewPolicy = DEFAULT_POLICY,
) -> ReviewError | None:
    """Return why this reader may not do this now, None if they may."""
    if reader is None:
        return ReviewError("No reader is named.", "Enter your name first.")
    if act is Act.REOPEN:
        if record.is_closed:
            return None
        return ReviewError("This region is open.", "Only a closed one is reopened.")
    if record.is_closed:
        return ReviewError(
            f"This region is {record.state}.", "Reopen it with a reason first."
        )
    seen = record.shown_to(reader)
    match act:
        case Act.FIRST_READ:
            if seen is not None:
                return ReviewError(
                    "You have seen the suggestion, so your first read stays as it is.",
                    "Confirm the suggestion, or override it with a reason.",
                )
            if record.saw_cells(reader):
                return ReviewError(
                    "You have seen the call read from the cells, so your first read "
                    "stays as it is.",
                    "Decide on the region.",
                )
        case Act.REVEAL:
            return _why_not_reveal(record, reader, policy)
        case Act.CONFIRM | Act.OVERRIDE:
            if seen is None:
                return why_not(record, Act.REVEAL, reader, policy) or ReviewError(
                    "You have not seen the suggestion.", "Reveal it first."
                )
            if seen != record.suggestion:
                return ReviewError(
                    "There is a newer suggestion than the one you saw.",
                    "Reveal it first.",
                )
            if act is Act.CONFIRM and _is_synthetic_score(seen):
                return ReviewError(
                    "This suggestion rests on a synthetic IHC, which never scores "
                    "alone.",
                    "Give your own call with a reason instead.",
                )
            if act is Act.CONFIRM and seen.forced and isinstance(seen.call, Score):
                return ReviewError(
                    "This suggestion was forced on a slide that is unfamiliar to the "
                    "model, or of too low quality.",
                    "Give your own call with a reason instead.",
                )
        case Act.OWN_READ:
            if seen is not None:
                return ReviewError(
                    "You have seen the suggestion.",
                    "Confirm it, or override it with a reason.",
                )
        case Act.DEFER:
            pass
        case _:
            assert_never(act)
    return None


def allowed_acts(
    record: ReviewRecord, reader: Reader | None, policy: ReviewPolicy = DEFAULT_POLICY
) -> frozenset[Act]:
    """Return what this reader may do now."""
    return frozenset(act for act in Act if why_not(record, act, reader, policy) is None)


def draw(
    record: ReviewRecord, region: Region, *, utc: datetime | None = None
) -> RegionDrawn:
    """Give a region its outline, or move it; an earlier suggestion lapses.

    Another name for the same outline is given at any time.

    Raises
    ------
    ReviewError
        If a reader acted on the region already.
    """
    if not region.same_area(record.region):
        _require_unread(record)
    return RegionDrawn(key=record.key, utc=_now(utc), region=region)


def remove(record: ReviewRecord, *, utc: datetime | None = None) -> RegionRemoved:
    """Take a region away that nobody has read.

    Raises
    ------
    ReviewError
        If a reader acted on the region already.
    """
    _require_unread(record)
    return RegionRemoved(key=record.key, utc=_now(utc))


def suggest(
    record: ReviewRecord, suggestion: Suggestion, *, utc: datetime | None = None
) -> SuggestionMade:
    """Note what the software suggests; allowed at any time, decides nothing.

    Raises
    ------
    ReviewError
        If the suggestion is about another region or other slides.
    """
    if suggestion.region_id != record.region_id or not (
        set(suggestion.provenance.slides) <= set(record.slides)
    ):
        raise ReviewError(
            f"The suggestion for region {suggestion.region_id!r} was made on another "
            "region or on other slides.",
            "Run the model on this region again.",
        )
    return SuggestionMade(key=record.key, utc=_now(utc), suggestion=suggestion)


def first_read(
    record: ReviewRecord,
    reader: Reader | None,
    call: Call,
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> FirstRead:
    """Lock a reader's own call; it can be corrected until the suggestion is shown.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`).
    """
    person = _person(record, Act.FIRST_READ, reader, policy)
    return FirstRead(key=record.key, utc=_now(utc), reader=person, call=call)


def reveal(
    record: ReviewRecord,
    reader: Reader | None,
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> Revealed:
    """Show a reader what leads among the suggestions they have not seen.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`).
    """
    person = _person(record, Act.REVEAL, reader, policy)
    suggestion = unseen(record, person)
    assert suggestion is not None  # noqa: S101 - the rule above refused it
    return Revealed(key=record.key, utc=_now(utc), reader=person, suggestion=suggestion)


def unseen(record: ReviewRecord, reader: Reader) -> Suggestion | None:
    """Return the suggestion to reveal next: from cells first, then of a network."""
    cells, network = record.by_cells, record.by_network
    if cells is not None and cells != record.shown(reader, by_cells=True):
        return cells
    if network is not None and network != record.shown(reader, by_cells=False):
        return network
    return None


def confirm(
    record: ReviewRecord,
    reader: Reader | None,
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> Confirmed:
    """Decide by adopting the call of the suggestion that was shown.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`), for one because a score
        rests on a synthetic IHC.
    """
    person = _person(record, Act.CONFIRM, reader, policy)
    suggestion = record.shown_to(person)
    assert suggestion is not None  # noqa: S101 - the rule above refused it
    return Confirmed(key=record.key, utc=_now(utc), reader=person, call=suggestion.call)


def override(
    record: ReviewRecord,
    reader: Reader | None,
    call: Call,
    code: ReasonCode | None,
    note: str = "",
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> Overridden:
    """Decide with a call of one's own in place of the suggestion, and say why.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`), the reason is missing, or
        the call is the suggestion's own and could have been confirmed.
    """
    person = _person(record, Act.OVERRIDE, reader, policy)
    if code is None:
        raise ReviewError("An override needs a reason.", "Choose one.")
    if code is ReasonCode.OTHER:
        _require_note(note, "The reason 'other' needs words.")
    suggestion = record.shown_to(person)
    if (
        suggestion is not None
        and call == suggestion.call
        and why_not(record, Act.CONFIRM, person, policy) is None
    ):
        raise ReviewError(f"The suggestion says {call} too.", "Confirm it instead.")
    return Overridden(
        key=record.key,
        utc=_now(utc),
        reader=person,
        call=call,
        code=code,
        note=note.strip(),
    )


def own_read(
    record: ReviewRecord,
    reader: Reader | None,
    call: Call,
    note: str = "",
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> OwnRead:
    """Decide without having been shown a suggestion (none made, or none wanted).

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`).
    """
    person = _person(record, Act.OWN_READ, reader, policy)
    return OwnRead(
        key=record.key, utc=_now(utc), reader=person, call=call, note=note.strip()
    )


def defer(
    record: ReviewRecord,
    reader: Reader | None,
    note: str,
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> Deferred:
    """Leave the region undecided, and say why.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`) or the reason is missing.
    """
    person = _person(record, Act.DEFER, reader, policy)
    _require_note(note, "Deferring needs a reason.")
    return Deferred(key=record.key, utc=_now(utc), reader=person, note=note.strip())


def reopen(
    record: ReviewRecord,
    reader: Reader | None,
    note: str,
    *,
    policy: ReviewPolicy = DEFAULT_POLICY,
    utc: datetime | None = None,
) -> Reopened:
    """Open a decided or deferred region again; what was decided stays on record.

    Raises
    ------
    ReviewError
        If the rules forbid it (see :func:`why_not`) or the reason is missing.
    """
    person = _person(record, Act.REOPEN, reader, policy)
    _require_note(note, "Reopening needs a reason.")
    return Reopened(key=record.key, utc=_now(utc), reader=person, note=note.strip())


def _why_not_reveal(
    record: ReviewRecord, reader: Reader, policy: ReviewPolicy
) -> ReviewError | None:
    if record.suggestion is None:
        return ReviewError(
            "There is no suggestion for this region.",
            "Run the model on it or read its IHC cells, or decide by your own read.",
        )
    if unseen(record, reader) is None:
        return ReviewError("You have seen this suggestion.", "Decide on it.")
    # who has seen one suggestion has no blind read left to give
    has_seen = record.shown_to(reader) is not None or record.saw_cells(reader)
    is_blind = not has_seen and record.first_read_of(reader) is None
    if policy.first_read_required and is_blind:
        return ReviewError(
            "Your own first read comes before the suggestion.",
            "Give your call, then reveal.",
        )
    return None


def _is_synthetic_score(suggestion: Suggestion) -> bool:
    """Whether confirming would make a final score out of a synthetic image."""
    return suggestion.evidence.is_synthetic and isinstance(suggestion.call, Score)


def _person(
    record: ReviewRecord, act: Act, reader: Reader | None, policy: ReviewPolicy
) -> Reader:
    """Return the reader if they may act, raise the reason if not."""
    refusal = why_not(record, act, reader, policy)
    if refusal is not None:
        raise refusal
    assert reader is not None  # noqa: S101 - the rules refused it
    return reader


def _require_unread(record: ReviewRecord) -> None:
    if record.acts:
        name = record.region.name if record.region else record.region_id
        raise ReviewError(
            f"{name} was read already and keeps its outline.",
            "Draw a new region instead.",
        )


def _require_note(note: str, problem: str) -> None:
    if not note.strip():
        raise ReviewError(problem, "Write it in a few words.")


def _now(utc: datetime | None) -> datetime:
    return datetime.now(UTC) if utc is None else utc
