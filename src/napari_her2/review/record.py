"""The state of a region: its history, read in different ways.

Nothing is stored beside the history, so a record cannot disagree with the
journal. Reading a history checks no rule (:mod:`napari_her2.review.acts` does,
before an event is written): whatever the journal holds can be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from napari_her2.core.records import Decision, DecisionKind, Reader, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Call
from napari_her2.review.events import (
    AnyEvent,
    CaseOpened,
    CellCorrected,
    CellsShown,
    Confirmed,
    ControlsMarked,
    ControlsUsed,
    Deferred,
    Exported,
    FirstRead,
    Overridden,
    OwnRead,
    PersonsAct,
    QualityOverruled,
    RegionDrawn,
    RegionKey,
    RegionRemoved,
    Registered,
    RegistrationSet,
    Reopened,
    Revealed,
    SuggestionMade,
)

_ABOUT_THE_CASE = (
    CaseOpened
    | Registered
    | RegistrationSet
    | QualityOverruled
    | ControlsMarked
    | ControlsUsed
    | CellCorrected
    | Exported
)
"""What decides nothing of a region, even where a person did it."""


class ReviewState(StrEnum):
    """How far a region is on its way to a decision."""

    PENDING = "pending"
    FIRST_READ = "first read"
    REVEALED = "revealed"
    DECIDED = "decided"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """One region and all that happened to it, oldest first."""

    key: RegionKey
    history: tuple[AnyEvent, ...] = ()

    @property
    def case_id(self) -> str:
        """Name of the case."""
        return self.key.case_id

    @property
    def region_id(self) -> str:
        """Name of the region, empty for the case as a whole."""
        return self.key.region_id

    @property
    def slides(self) -> tuple[tuple[str, str], ...]:
        """Pairs of stain and slide fingerprint."""
        return self.key.slides

    @property
    def acts(self) -> tuple[PersonsAct, ...]:
        """What named readers did here; an outline is fixed once there is one."""
        return tuple(
            event
            for event in self.history
            if isinstance(event, PersonsAct) and not isinstance(event, _ABOUT_THE_CASE)
        )

    @property
    def region(self) -> Region | None:
        """The outline, None for the case as a whole and once it was removed."""
        for event in reversed(self.history):
            match event:
                case RegionDrawn(region=region):
                    return region
                case RegionRemoved():
                    return None
        return None

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggestion that leads for this outline, whether or not anyone saw it.

        The newest from the cells of the real IHC, and only without one the newest
        of a network.
        """
        return self.by_cells or self.by_network

    @property
    def by_cells(self) -> Suggestion | None:
        """The newest suggestion from counted cells for this outline."""
        return self._newest(by_cells=True)

    @property
    def by_network(self) -> Suggestion | None:
        """The newest suggestion of a network for this outline."""
        return self._newest(by_cells=False)

    def first_read_of(self, reader: Reader) -> Call | None:
        """Return the call this reader gave before they saw a suggestion."""
        for event in reversed(self.history):
            if isinstance(event, FirstRead) and event.reader == reader:
                return event.call
        return None

    def shown_to(self, reader: Reader) -> Suggestion | None:
        """Return the suggestion that leads among those this reader saw, if any."""
        return self.shown(reader, by_cells=True) or self.shown(reader, by_cells=False)

    def shown(self, reader: Reader, *, by_cells: bool) -> Suggestion | None:
        """Return the suggestion of one kind that this reader saw last."""
        for event in reversed(self.history):
            if (
                isinstance(event, Revealed)
                and event.reader == reader
                and (event.suggestion.cells is not None) == by_cells
            ):
                return event.suggestion
        return None

    def saw_cells(self, reader: Reader) -> bool:
        """Whether an earlier version showed a call from cells, not as a suggestion."""
        return any(
            isinstance(event, CellsShown) and event.reader == reader
            for event in self.history
        )

    @property
    def decision(self) -> Decision | None:
        """The decision that holds, None while the region is open or deferred."""
        last = self._last_turn()
        if last is None or isinstance(self.history[last], Deferred | Reopened):
            return None
        return self._decision_at(last)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision ever made here, oldest first, superseded ones too."""
        return tuple(self._all_decisions())

    @property
    def deferral(self) -> Deferred | None:
        """Who deferred the region and why, None if it is not deferred."""
        last = self._last_turn()
        event = None if last is None else self.history[last]
        return event if isinstance(event, Deferred) else None

    @property
    def is_closed(self) -> bool:
        """Whether the region has to be reopened before anyone acts on it."""
        return self.state in (ReviewState.DECIDED, ReviewState.DEFERRED)

    @property
    def state(self) -> ReviewState:
        """How far the region is; after a reopening, as far as it was before."""
        if self.decision is not None:
            return ReviewState.DECIDED
        if self.deferral is not None:
            return ReviewState.DEFERRED
        kinds = {type(event) for event in self.history}
        if Revealed in kinds:
            return ReviewState.REVEALED
        if FirstRead in kinds:
            return ReviewState.FIRST_READ
        return ReviewState.PENDING

    def after(self, event: AnyEvent) -> ReviewRecord:
        """Return the record with one more event.

        Raises
        ------
        ValueError
            If the event is about another region.
        """
        if event.key != self.key:
            raise ValueError(f"{event.key} is not the region of this record")
        return replace(self, history=(*self.history, event))

    def _newest(self, *, by_cells: bool) -> Suggestion | None:
        found, area = None, None
        for event in self.history:
            match event:
                case SuggestionMade(suggestion=suggestion):
                    if (suggestion.cells is not None) == by_cells:
                        found = suggestion
                case RegionDrawn(region=region):
                    if not region.same_area(area):  # else it got another name
                        found = None
                    area = region
                case RegionRemoved():
                    found, area = None, None
        return found

    def _last_turn(self) -> int | None:
        """Where the region was last decided, deferred or reopened."""
        turns = Confirmed | Overridden | OwnRead | Deferred | Reopened
        for index in range(len(self.history) - 1, -1, -1):
            if isinstance(self.history[index], turns):
                return index
        return None

    def _all_decisions(self) -> Iterator[Decision]:
        for index in range(len(self.history)):
            decision = self._decision_at(index)
            if decision is not None:
                yield decision

    def _decision_at(self, index: int) -> Decision | None:
        """Read one event as a decision, with what its reader knew by then."""
        event = self.history[index]
        match event:
            case Confirmed():
                kind, reason = DecisionKind.CONFIRM, ""
            case Overridden():
                kind = DecisionKind.OVERRIDE
                reason = f"{event.code}: {event.note}" if event.note else event.code
            case OwnRead():
                kind, reason = DecisionKind.OWN_READ, event.note
            case _:
                return None
        before = replace(self, history=self.history[:index])
        seen = before.shown_to(event.reader)
        leads = seen is not None and seen.cells is not None
        return Decision(
            case_id=self.case_id,
            region_id=self.region_id,
            reader=event.reader,
            kind=kind,
            call=event.call,
            reason=str(reason),
            utc=event.utc,
            first_read=before.first_read_of(event.reader),
            suggestion=seen,
            beside=before.shown(event.reader, by_cells=False) if leads else None,
        )


def record_of(events: Iterable[AnyEvent], key: RegionKey) -> ReviewRecord:
    """Return the record of one region, an empty one if nothing happened there."""
    return ReviewRecord(key, tuple(e for e in events if e.key == key))


def fold(events: Iterable[AnyEvent]) -> tuple[ReviewRecord, ...]:
    """Return one record per region, in the order in which they appeared.

    A case that was opened stands for itself, as one pending record without a
    region, until there is a region of it. A region that was removed before
    anybody read it is left out.
    """
    histories: dict[RegionKey, list[AnyEvent]] = {}
    for event in events:
        histories.setdefault(event.key, []).append(event)
    records = [ReviewRecord(key, tuple(found)) for key, found in histories.items()]
    at_work = {record.key for record in records if _is_at_work(record)}
    idle_cases = {key.case for key in histories} - {key.case for key in at_work}
    return tuple(r for r in records if r.key in at_work | idle_cases)


def _is_at_work(record: ReviewRecord) -> bool:
    """Whether there is something to decide, or somebody acted already."""
    if record.acts:
        return True
    events = [e for e in record.history if not isinstance(e, _ABOUT_THE_CASE)]
    return bool(events) and not isinstance(events[-1], RegionRemoved)
