"""HER2 read from the cells of the open IHC slide, and corrected by its reader.

Reading is handed out as a generator for any thread; what it yields comes back
through :meth:`CellReading.absorb`. The call becomes the suggestion of its region, to
be revealed and decided on like any other. A reader's word on a cell is in the journal
before the window shows it, and a new version of the suggestion follows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_her2.app.cell_steps import (
    CellsRefused,
    CellStep,
    box_on_ihc,
    on_ihc,
    read_steps,
)
from napari_her2.app.cells_read import CellsFound, CellsRead, CellWork
from napari_her2.app.control_use import CHANGED, ControlUse
from napari_her2.app.pairing import why_not_both, why_not_both_in
from napari_her2.app.quality_gate import blocked_by
from napari_her2.app.run_plan import is_view_region, view_region_id
from napari_her2.app.status import Notice
from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.errors import NotReadyError, ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.records import Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Stain
from napari_her2.review.events import CellCorrected, RegionKey

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_her2.app.reading import Reading
    from napari_her2.app.state import SessionState
    from napari_her2.review.journal import Journal
    from napari_her2.slides.pair import SlidePair


class CellReading:
    """Commands on the cells of a session's IHC slide.

    Parameters
    ----------
    state
        Of the session; ``cells`` and ``cell_work`` are kept up to date.
    reading
        Of the session; it puts the region under review.
    journal
        Where a reader's word on a cell is committed first.
    cache_dir
        Folder for cells that were read; the user's cache folder when None.
    """

    def __init__(
        self,
        state: SessionState,
        reading: Reading,
        journal: Journal,
        cache_dir: Path | None = None,
    ) -> None:
        self._state = state
        self._reading = reading
        self._journal = journal
        self._cache_dir = cache_dir
        self._corrections: tuple[CellCorrected, ...] = ()
        events = state.events
        events.pair.connect(self._on_pair)
        events.regions.connect(self._on_regions)
        events.controls.connect(self._on_controls)
        events.use_controls.connect(self._on_controls)

    @property
    def target(self) -> Region | None:
        """What would be read: the drawn region that is selected, else the view."""
        state = self._state
        for region in state.regions:
            if region.region_id == state.selected_id:
                return region
        if state.pair is None or state.view_px is None:
            return None
        seen = state.view_px.intersect(BoxPx.of_shape(state.pair.reference.shape))
        if seen.is_empty:
            return None
        return Region.from_box(view_region_id(seen), "View", seen)

    def why_not(self) -> str | None:
        """Return why no cells can be read now, None if they can."""
        state, pair = self._state, self._state.pair
        if pair is None:
            return "Open a case first."
        if pair.ihc is None:
            return "This case has no IHC slide. Cells are read on a real one alone."
        if pair.ihc.mpp is None or pair.reference.mpp is None:
            return "Scale unknown. Enter the µm per pixel in the Case dock."
        apart = why_not_both(pair.registration, state.error_limits)
        if pair.he is not None and apart:
            return apart
        reports = [one for one in state.quality if one.stain is Stain.IHC]
        if blocked := blocked_by(reports, state.overruled):
            return "\n".join(blocked)
        if state.cell_work.doing:
            return "Cells are being read."
        target = self.target
        if target is not None and target.is_excluded:
            return f"{target.name} is excluded: its cells do not count."
        if target is None or box_on_ihc(pair, on_ihc(pair, target)).is_empty:
            return "The IHC slide is not in view. Move the view back to it."
        return why_not_both_in(pair, target, state.error_limits)

    def begin(self) -> Iterator[CellStep]:
        """Return the reading of the target, for any thread.

        The target is put under review, for a reader to give their own call on.

        Raises
        ------
        NotReadyError
            If no cells can be read now, with the reason.
        """
        pair, target, problem = self._state.pair, self.target, self.why_not()
        if problem or pair is None or target is None:
            raise NotReadyError(problem or "Open a case first.", "Then try again.")
        self._state.notice = None
        self._reading.take_up(target)
        self._state.cells = None
        self._state.cell_work = CellWork("Looking at the stain", 0.0)
        reports = [one for one in self._state.quality if one.stain is Stain.IHC]
        overruled = {
            kind for stain, kind in self._state.overruled if stain == Stain.IHC.value
        }
        report = reports[0] if reports else None
        use = ControlUse.of(self._state)
        return read_steps(pair, target, report, overruled, use, self._cache_dir)

    def absorb(self, step: CellStep) -> None:
        """Take in what a reading yielded."""
        match step:
            case CellWork():
                self._state.cell_work = step
            case CellsRefused():
                self._state.notice = Notice(f"No cells are read: {step.reason}.")
            case CellsFound():
                self._hold(step)
                self._suggest()

    def end(self, problem: str = "") -> None:
        """Note that the work ended, and why if it failed."""
        self._state.cell_work = CellWork()
        if problem:
            self._state.notice = Notice(problem, is_error=True)

    def why_hidden(self) -> str | None:
        """Return why the call may not be shown to this reader yet, None if it may."""
        read = self._state.cells
        if read is None:
            return None
        row = self._reading.row_of(read.region.region_id)
        if row is not None and row.by_cells is not None:
            return None
        return f"Cells are read. {self._reading.why_hidden(read.region.region_id)}"

    def why_stale(self, suggestion: Suggestion) -> str:
        """Say that control tissue would set other thresholds now, empty if not."""
        is_same = ControlUse.of(self._state).is_that_of(suggestion)
        return "" if is_same else CHANGED

    def judge(self, row: int, verdict: CellVerdict) -> None:
        """Say what the cell in a row of the table is; the call follows at once.

        Raises
        ------
        NotReadyError
            If no cells were read.
        ReviewError
            If no reader is named, the call may not be shown to them yet, or they
            decided on it.
        """
        read = self._state.cells
        if read is None:
            raise NotReadyError("No cells were read.", "Read them first.")
        if hidden := self.why_hidden():
            raise ReviewError(hidden, "Then go on.")
        self._require_open(read.region)
        cells = read.cells
        self._judge(
            float(cells["y_px"][row].as_py()),
            float(cells["x_px"][row].as_py()),
            verdict,
        )

    def confirm(self, row: int) -> None:
        """Agree with what was read of a cell; see :meth:`judge`."""
        read = self._state.cells
        if read is not None:
            pattern = MembranePattern(read.cells["pattern"][row].as_py())
            self.judge(row, CellVerdict.of(pattern))

    @property
    def can_take_back(self) -> bool:
        """Whether the reader at the screen has a word of their own to take back."""
        return self._last_word() is not None

    def take_back(self) -> None:
        """Take back the last word of the reader at the screen, as a new act."""
        if (last := self._last_word()) is not None:
            if self._state.cells is not None:
                self._require_open(self._state.cells.region)
            self._judge(last.y_px, last.x_px, CellVerdict.WITHDRAWN)

    def _last_word(self) -> CellCorrected | None:
        """Return this reader's newest word that still holds."""
        withdrawn = set()
        for event in reversed(self._corrections):
            if event.reader != self._state.reader:
                continue
            place = event.y_px, event.x_px
            if event.verdict is CellVerdict.WITHDRAWN:
                withdrawn.add(place)
            elif place not in withdrawn:
                return event
        return None

    def _judge(self, y_px: float, x_px: float, verdict: CellVerdict) -> None:
        reader, key = self._state.reader, self._case_key()
        if reader is None:
            raise ReviewError(
                "No reader is named.", "Enter your name in the Review dock first."
            )
        if key is None:
            raise NotReadyError("No case is open.", "Open one first.")
        event = CellCorrected(
            key=key,
            utc=datetime.now(UTC),
            reader=reader,
            y_px=y_px,
            x_px=x_px,
            verdict=verdict,
        )
        self._journal.append(event)
        self._corrections = (*self._corrections, event)
        if self._state.cells is not None:
            is_shown = self.why_hidden() is None
            self._hold(self._state.cells.found)
            self._suggest(is_seen=is_shown)

    def _require_open(self, region: Region) -> None:
        """Keep what a decision was made on as it is."""
        row = self._reading.row_of(region.region_id)
        if row is not None and row.record.is_closed:
            raise ReviewError(
                f"{region.name} is {row.record.state}, and so are its cells.",
                "Reopen it with a reason first.",
            )

    def _hold(self, found: CellsFound) -> None:
        """Call the cells as they were read and as readers corrected them."""
        # imported late: a window opens before anybody reads cells
        from napari_her2.cells.call import call_cells
        from napari_her2.cells.correction import CellCorrection, correct_cells
        from napari_her2.cells.exclusion import leave_out

        corrected = correct_cells(
            found.cells,
            [CellCorrection(e.y_px, e.x_px, e.verdict) for e in self._corrections],
            found.mpp,
        )
        pair = self._state.pair
        if pair is not None:
            out = [on_ihc(pair, one) for one in self._excluded(found.region)]
            out += [_corners(mark.box_px) for mark in self._state.controls]
            left = leave_out(corrected.cells, out)
            corrected = replace(corrected, cells=left)
        call = call_cells(corrected.cells, found.mpp, confirmed=corrected.confirmed)
        if found.doubt:
            advice = (*call.reading.advice, found.doubt)
            call = replace(call, reading=replace(call.reading, advice=advice))
        self._state.cells = CellsRead(found, corrected.cells, corrected.judged, call)

    def _excluded(self, region: Region) -> tuple[Region, ...]:
        """Return what was excluded within the bounds of a region."""
        return tuple(
            one
            for one in self._state.regions
            if one.is_excluded and not one.bounds.intersect(region.bounds).is_empty
        )

    def _suggest(self, *, is_seen: bool = False) -> None:
        """Put the call before the reader of the region, with all it rests on."""
        from napari_her2.cells.suggestion import suggest_from_cells

        read, pair = self._state.cells, self._state.pair
        if read is None or pair is None or pair.ihc is None:
            return
        region = read.region
        made = read.found.made | {
            "region_yx_px": region.vertices_yx,
            "excluded_yx_px": [one.vertices_yx for one in self._excluded(region)],
            "controls_left_out_px": [
                mark.box_px.as_tuple() for mark in self._state.controls
            ],
        }
        if pair.he is not None:
            made |= {
                "transform": pair.registration.method,
                "he_to_ihc_um": pair.he_to_ihc.told,
            }
        suggestion = suggest_from_cells(
            region,
            region.bounds.intersect(BoxPx.of_shape(pair.reference.shape)),
            read.call,
            made=made,
            n_judged=read.n_judged,
            tumour=read.tumour_words,
            slides=pair.fingerprints,
            controls=read.found.controls,
        )
        self._reading.suggest(region, suggestion, is_seen=is_seen)

    def _on_regions(self, now: tuple[Region, ...], before: tuple[Region, ...]) -> None:
        """Count anew where areas are excluded; forget a region that is no more."""
        read = self._state.cells
        if read is None or {*now} == {*before}:
            return
        drawn = {one.region_id: one for one in now}
        is_drawn = not is_view_region(read.region.region_id)
        region = drawn.get(read.region.region_id) if is_drawn else read.region
        if region is None or not region.same_area(read.region):
            self._state.cells = None
            return
        is_shown = self.why_hidden() is None
        self._hold(replace(read.found, region=region))
        self._suggest(is_seen=is_shown)

    def _on_controls(self) -> None:
        """Forget cells that would be read with other thresholds now."""
        read = self._state.cells
        row = None if read is None else self._reading.row_of(read.region.region_id)
        if read is None or row is None or row.record.is_closed:
            return
        if row.record.by_cells is not None and self.why_stale(row.record.by_cells):
            self._state.cells = None
            return
        is_shown = self.why_hidden() is None
        self._hold(read.found)
        self._suggest(is_seen=is_shown)

    def _case_key(self) -> RegionKey | None:
        pair, case = self._state.pair, self._state.case
        if pair is None or case is None:
            return None
        return RegionKey(case.case_id, pair.fingerprints)

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        # where the slides lie on each other says nothing of their cells
        if now is not None and now.same_slides(before):
            return
        key = self._case_key()
        self._state.cells = None
        self._state.cell_work = CellWork()
        events = () if key is None else self._journal.events(key.case_id)
        self._corrections = tuple(
            event
            for event in events
            if isinstance(event, CellCorrected) and event.key == key
        )


def _corners(box: BoxPx) -> NDArray[np.float64]:
    return np.array(
        [(box.y0, box.x0), (box.y0, box.x1), (box.y1, box.x1), (box.y1, box.x0)], float
    )
