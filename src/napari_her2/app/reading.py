"""The reader's side of a case: first read, reveal, decide, and the journal behind.

Every act is checked by the rules in ``review.acts`` and is in the journal before
the window shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from napari_her2.app.run_plan import WHOLE_SLIDE, is_view_region
from napari_her2.app.state import RegionReview, SessionState
from napari_her2.core.errors import ReviewError
from napari_her2.core.records import Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Call
from napari_her2.review import acts
from napari_her2.review.events import (
    AnyEvent,
    CaseOpened,
    Exported,
    ReasonCode,
    RegionKey,
)
from napari_her2.review.journal import Journal
from napari_her2.review.record import ReviewRecord, fold, record_of


class Reading:
    """What persons do with the regions of one open case.

    Parameters
    ----------
    state
        The evented state this reading keeps up to date.
    journal
        Where every act is committed first.
    """

    def __init__(self, state: SessionState, journal: Journal) -> None:
        self.state = state
        self._journal = journal
        self._case = RegionKey("no case")

    @property
    def policy(self) -> acts.ReviewPolicy:
        """The review policy that the preferences ask for."""
        return acts.ReviewPolicy(first_read_required=self.state.first_read_required)

    def open(self, key: RegionKey) -> None:
        """Take up a case where its journal left it.

        ``key`` is that of the case as a whole: what was decided on other pixels
        under the same name is left alone.
        """
        self._case = key
        self._journal.append(CaseOpened(key=self._case, utc=datetime.now(UTC)))
        records = [
            record
            for record in fold(self._journal.events(key.case_id))
            if record.key.case == key and record.region is not None
        ]
        self.state.regions = tuple(
            record.region
            for record in records
            if record.region is not None and _is_drawn(record.region)
        )
        rows = [self._row(r) for r in records if r.acts or r.suggestion is not None]
        self.state.reviewed = tuple(row for row in rows if not _is_passing(row))
        if self.state.reviewed:
            self.state.selected_id = self.state.reviewed[-1].region.region_id

    def draw(self, regions: tuple[Region, ...]) -> None:
        """Replace the drawn regions; one that was read already keeps its outline.

        Raises
        ------
        ReviewError
            If a region with a first read or a decision was changed or removed;
            nothing is changed then, and the old outlines are announced again.
        """
        before = {region.region_id: region for region in self.state.regions}
        after = {region.region_id: region for region in regions}
        changed = [r for name, r in after.items() if before.get(name) != r]
        removed = [name for name in before if name not in after]
        try:
            steps = [self._drawing(region) for region in changed]
            steps += [self._removal(region_id) for region_id in removed]
        except ReviewError:
            self.state.events.regions.emit(self.state.regions, regions)
            raise
        records = {
            record.region_id: self._commit(record, event) for record, event in steps
        }
        # an outline that moved has lost the suggestion made for the old one
        renamed = {
            region.region_id
            for region in changed
            if region.same_area(before.get(region.region_id))
        }
        gone = {*removed, *records} - renamed
        self.state.reviewed = tuple(
            self._row(records.get(row.region.region_id, row.record))
            for row in self.state.reviewed
            if row.region.region_id not in gone
        )
        self.state.regions = tuple(after.values())

    def select(self, region_id: str) -> None:
        """Put a region under review, also one that the AI never ran on.

        An excluded one is selected and nothing more: there is nothing to decide.
        """
        region = None if self._find(region_id) else self._record(region_id).region
        if region is not None and not region.is_excluded:
            self._show(self._record(region_id))
        self.state.selected_id = region_id

    def take_up(self, region: Region) -> None:
        """Put a region under review, also a view that nobody drew."""
        record = self._record(region.region_id)
        if record.region is None:
            record = self._commit(record, acts.draw(record, region))
        self._show(record)

    def suggest(
        self, region: Region, suggestion: Suggestion, *, is_seen: bool = False
    ) -> None:
        """Take in what the software proposes for a region.

        A region that was decided or deferred keeps what was decided on it.

        Parameters
        ----------
        is_seen
            Whether it follows from what the reader at the screen just did to the
            suggestion in front of them, so that it stays in front of them.
        """
        record = self._record(region.region_id)
        if record.is_closed:
            return
        if record.region is None:
            record = self._commit(record, acts.draw(record, region))
        by_cells = suggestion.cells is not None
        if (record.by_cells if by_cells else record.by_network) != suggestion:
            record = self._commit(record, acts.suggest(record, suggestion))
        reader = self.state.reader
        if not self.state.first_read_required:
            record = self._revealed(record)
        elif is_seen and reader and acts.unseen(record, reader) == suggestion:
            event = acts.reveal(record, reader, policy=self.policy)
            record = self._commit(record, event)
        self._show(record)

    def row_of(self, region_id: str) -> RegionReview | None:
        """Return a region on the list with what may be shown of it."""
        return self._find(region_id)

    def why_hidden(self, region_id: str) -> str:
        """Say what a reader does to see the suggestion of a region."""
        row = self._find(region_id)
        if row is None:
            return "Select the region first."
        refusal = acts.why_not(
            row.record, acts.Act.REVEAL, self.state.reader, self.policy
        )
        return "Reveal it in the Review dock." if refusal is None else str(refusal)

    def forget_passing_views(self) -> None:
        """Drop earlier viewports that nobody read, so that the list stays short."""
        self.state.reviewed = tuple(
            row for row in self.state.reviewed if not _is_passing(row)
        )

    def first_read(self, call: Call) -> None:
        """Lock the reader's own call before the AI is shown."""
        reader, policy = self.state.reader, self.policy
        self._act(lambda record: acts.first_read(record, reader, call, policy=policy))

    def reveal(self) -> None:
        """Show what software suggests: from cells, and of the network beside it."""
        reader, policy = self.state.reader, self.policy
        self._act(lambda record: acts.reveal(record, reader, policy=policy))
        if (row := self.state.selected) is not None:
            self._show(self._revealed(row.record))

    def confirm(self) -> None:
        """Adopt the suggestion's call as the reader's decision."""
        reader, policy = self.state.reader, self.policy
        self._act(lambda record: acts.confirm(record, reader, policy=policy))

    def override(self, call: Call, code: ReasonCode | None, note: str = "") -> None:
        """Decide otherwise than the suggestion, with a reason."""
        reader, policy = self.state.reader, self.policy
        self._act(
            lambda record: acts.override(
                record, reader, call, code, note, policy=policy
            )
        )

    def own_read(self, call: Call, note: str = "") -> None:
        """Decide without any suggestion having been shown."""
        reader, policy = self.state.reader, self.policy
        self._act(
            lambda record: acts.own_read(record, reader, call, note, policy=policy)
        )

    def defer(self, note: str) -> None:
        """Put the region aside, with the reason."""
        reader, policy = self.state.reader, self.policy
        self._act(lambda record: acts.defer(record, reader, note, policy=policy))

    def reopen(self, note: str) -> None:
        """Open a decided or deferred region again, with the reason."""
        reader, policy = self.state.reader, self.policy
        self._act(lambda record: acts.reopen(record, reader, note, policy=policy))

    def refusal(self, act: acts.Act) -> str | None:
        """Return why an act cannot be done now, None if it can."""
        row = self.state.selected
        if row is None:
            return "Run the AI or draw a region, then select it in the list."
        error = acts.why_not(row.record, act, self.state.reader, self.policy)
        return None if error is None else str(error)

    def refresh(self) -> None:
        """Work out anew what may be shown: the reader or the policy changed."""
        rows = [row.record for row in self.state.reviewed]
        if not self.state.first_read_required:
            rows = [self._revealed(record) for record in rows]
        self.state.reviewed = tuple(self._row(record) for record in rows)

    def export(self, folder: Path) -> tuple[Path, ...]:
        """Write what was decided on this case, undecided regions as pending.

        Raises
        ------
        StorageError
            If a file cannot be written; earlier exports stay.
        """
        # imported late: only an export needs the writers
        from napari_her2.export.scores import export_scores

        records = [
            record
            for record in fold(self._journal.events(self._case.case_id))
            if record.key.case == self._case
            and not (record.region and _is_passing(self._row(record)))
            and not (record.region and record.region.is_excluded)
        ]
        head = self._journal.head
        written = export_scores(
            records or [ReviewRecord(self._case)], folder, journal_head=head
        )
        names = tuple(path.name for path in written)
        self._journal.append(
            Exported(
                key=self._case, utc=datetime.now(UTC), files=names, journal_head=head
            )
        )
        return written

    def _drawing(self, region: Region) -> tuple[ReviewRecord, AnyEvent]:
        record = self._record(region.region_id)
        return record, acts.draw(record, region)

    def _removal(self, region_id: str) -> tuple[ReviewRecord, AnyEvent]:
        record = self._record(region_id)
        return record, acts.remove(record)

    def _act(self, make: Callable[[ReviewRecord], AnyEvent]) -> None:
        row = self.state.selected
        if row is None:
            raise ReviewError("No region is selected.", "Select one in the list.")
        self._show(self._commit(row.record, make(row.record)))

    def _revealed(self, record: ReviewRecord) -> ReviewRecord:
        """Reveal all that the rules let this reader see."""
        reader = self.state.reader
        while acts.why_not(record, acts.Act.REVEAL, reader, self.policy) is None:
            event = acts.reveal(record, reader, policy=self.policy)
            record = self._commit(record, event)
        return record

    def _record(self, region_id: str) -> ReviewRecord:
        row = self._find(region_id)
        if row is not None:
            return row.record
        key = replace(self._case, region_id=region_id)
        return record_of(self._journal.events(key.case_id), key)

    def _find(self, region_id: str) -> RegionReview | None:
        for row in self.state.reviewed:
            if row.region.region_id == region_id:
                return row
        return None

    def _commit(self, record: ReviewRecord, event: AnyEvent) -> ReviewRecord:
        self._journal.append(event, seen=record)
        return record.after(event)

    def _row(self, record: ReviewRecord) -> RegionReview:
        if record.region is None:
            raise ValueError(f"{record.key} has no outline to review")
        # a suggestion that was replaced is not the one to decide on
        network, cells = (
            current if current == self._shown(record, by_cells=by_cells) else None
            for current, by_cells in (
                (record.by_network, False),
                (record.by_cells, True),
            )
        )
        return RegionReview(record.region, record, network, cells)

    def _shown(self, record: ReviewRecord, *, by_cells: bool) -> Suggestion | None:
        reader = self.state.reader
        return None if reader is None else record.shown(reader, by_cells=by_cells)

    def _show(self, record: ReviewRecord) -> None:
        row = self._row(record)
        rows = {known.region.region_id: known for known in self.state.reviewed}
        rows[record.region_id] = row
        self.state.reviewed = tuple(rows.values())
        self.state.selected_id = record.region_id


def _is_drawn(region: Region) -> bool:
    return not is_view_region(region.region_id) and region.region_id != WHOLE_SLIDE


def _is_passing(row: RegionReview) -> bool:
    """Whether this is a viewport the reader merely passed through."""
    return is_view_region(row.region.region_id) and not row.record.acts
