"""The quality of the open slides: looked at once, overruled or marked by a reader.

Like the first look of the model it reads blocks of every slide, so a window takes
it off the main thread; a run that is started earlier takes it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from napari_her2.app.quality_gate import blocked_by, key_of
from napari_her2.app.state import SessionState
from napari_her2.core.errors import ReviewError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import CONTROL_SCORES, ControlMark, Reader
from napari_her2.core.score import Score, Stain
from napari_her2.review.events import (
    ControlsMarked,
    ControlsUsed,
    QualityOverruled,
    RegionKey,
)
from napari_her2.slides.quality.finding import FindingKind

if TYPE_CHECKING:
    from napari_her2.review.journal import Journal
    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.quality.finding import Finding, QualityReport
    from napari_her2.slides.slide import Slide

Reports = tuple["QualityReport", ...]
_Key = tuple[Stain, str, float | None]
_Marks = tuple[ControlMark, ...]
_Step = TypeVar("_Step")


@dataclass(frozen=True, slots=True)
class QualityLooked:
    """What was found on the slides before a run; a run that is blocked ends here."""

    reports: Reports
    is_blocked: bool


class QualityCheck:
    """Follows the slides of a session.

    Parameters
    ----------
    state
        Of the session; ``quality``, ``overruled``, ``controls`` and ``use_controls``
        are kept up to date.
    journal
        Where an overruling, or what is said of controls, is committed first.
    """

    def __init__(self, state: SessionState, journal: Journal) -> None:
        self._state = state
        self._journal = journal
        self._lock = Lock()
        self._reports: dict[_Key, QualityReport] = {}
        self._marked: dict[tuple[_Key, _Marks], Finding] = {}
        state.events.pair.connect(self._on_pair)

    def look(self) -> Callable[[], Reports] | None:
        """Return what assesses the slides, for any thread; None if that is done.

        Hand what it returns to :meth:`take`.
        """
        pair = self._state.pair
        if pair is None or self._known(pair) is not None:
            return None
        return partial(self._look, pair, self._state.controls)

    def take(self, reports: Reports) -> None:
        """Take in what was found on the open slides."""
        self._state.quality = reports

    def before(self, steps: Iterator[_Step]) -> Iterator[_Step | QualityLooked]:
        """Return the steps of a run, behind a look at slides that had none."""
        pair = self._state.pair
        if pair is None or (self._known(pair) is not None and self._state.quality):
            return steps
        look = partial(self._look, pair, self._state.controls)
        return _look_and_go_on(look, self._state.overruled, steps)

    def overrule(self, stain: Stain, finding: Finding, reason: str) -> None:
        """Have the AI run in spite of a finding; the reason is journaled.

        Raises
        ------
        ReviewError
            If no reader is named, no reason is given, or no case is open.
        """
        reader, key = self._who_and_what()
        if not reason.strip():
            raise ReviewError("A finding is overruled with a reason.", "Give one.")
        self._journal.append(
            QualityOverruled(
                key=key,
                utc=datetime.now(UTC),
                reader=reader,
                stain=stain.value,
                finding=finding.kind.value,
                note=reason.strip(),
            )
        )
        self._recall()

    def mark_control(self, score: Score, box_px: BoxPx) -> None:
        """Mark the control tissue that should read a score; journaled.

        Parameters
        ----------
        score
            0, 1+ or 3+; an earlier mark of the same score is replaced.
        box_px
            In level-0 pixels of the IHC slide; what lies beside it is cut off.

        Raises
        ------
        ReviewError
            If no reader is named, no IHC slide is open, or the box is not on it.
        """
        pair = self._state.pair
        if pair is None or pair.ihc is None:
            raise ReviewError("No IHC slide is open.", "Open one first.")
        inside = box_px.intersect(BoxPx.of_shape(pair.ihc.shape))
        if inside.is_empty:
            raise ReviewError("The box is not on the IHC slide.", "Draw it there.")
        others = [mark for mark in self._state.controls if mark.score is not score]
        marks = [*others, ControlMark(score, inside)]
        self._set_controls(tuple(sorted(marks, key=_by_score)))

    def clear_controls(self) -> None:
        """Take the marks round control tissue away; journaled.

        Raises
        ------
        ReviewError
            If no reader is named, or no case is open.
        """
        if self._state.controls:
            self._set_controls(())

    def use_controls(self, is_used: bool) -> None:
        """Have marked control tissue set the thresholds of cells, or not; journaled.

        Raises
        ------
        ReviewError
            If no reader is named, or no case is open.
        """
        if is_used == self._state.use_controls:
            return
        reader, key = self._who_and_what()
        utc = datetime.now(UTC)
        self._journal.append(
            ControlsUsed(key=key, utc=utc, reader=reader, is_used=is_used)
        )
        self._recall()

    def is_overruled(self, report: QualityReport, finding: Finding) -> bool:
        """Whether a reader overruled a finding on these slides."""
        return key_of(report, finding) in self._state.overruled

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        # how the slides lie on each other says nothing of their quality
        if now is None or not now.same_slides(before):
            self._on_slides()

    def _on_slides(self) -> None:
        """Take in other slides, or other marks on them."""
        self._recall()
        pair = self._state.pair
        self._state.quality = () if pair is None else self._known(pair) or ()

    def _recall(self) -> None:
        """Bring marks and overrulings up to date with the journal."""
        key = self._case_key()
        marks: _Marks = ()
        is_used = True
        overruled: set[tuple[str, str]] = set()
        for event in () if key is None else self._journal.events(key.case_id):
            if event.key != key:
                continue
            if isinstance(event, QualityOverruled):
                overruled.add((event.stain, event.finding))
            elif isinstance(event, ControlsMarked):
                marks = event.controls
                # what was overruled was said of other tissue
                overruled.discard((Stain.IHC.value, FindingKind.CONTROL.value))
            elif isinstance(event, ControlsUsed):
                is_used = event.is_used
        self._state.controls = marks
        self._state.use_controls = is_used
        self._state.overruled = tuple(sorted(overruled))

    def _set_controls(self, marks: _Marks) -> None:
        reader, key = self._who_and_what()
        utc = datetime.now(UTC)
        self._journal.append(
            ControlsMarked(key=key, utc=utc, reader=reader, controls=marks)
        )
        self._on_slides()

    def _who_and_what(self) -> tuple[Reader, RegionKey]:
        reader, key = self._state.reader, self._case_key()
        if reader is None:
            raise ReviewError("No reader is named.", "Enter your name first.")
        if key is None:
            raise ReviewError("No case is open.", "Open one first.")
        return reader, key

    def _case_key(self) -> RegionKey | None:
        pair, case = self._state.pair, self._state.case
        if pair is None or case is None:
            return None
        return RegionKey(case.case_id, pair.fingerprints)

    def _known(self, pair: SlidePair) -> Reports | None:
        return self._reports_of(pair, self._state.controls)

    def _reports_of(self, pair: SlidePair, marks: _Marks) -> Reports | None:
        """Return what was found, None where a look is missing."""
        reports = []
        for stain, slide in pair.slides:
            report = self._reports.get(_key(stain, slide))
            if report is None:
                return None
            if marks and stain is Stain.IHC:
                finding = self._marked.get((_key(stain, slide), marks))
                if finding is None:
                    return None
                report = report.with_finding(finding)
            reports.append(report)
        return tuple(reports)

    def _look(self, pair: SlidePair, marks: _Marks) -> Reports:
        # imported late: a window opens before anybody looks
        from napari_her2.slides.quality.assess import assess_marked, assess_quality

        with self._lock:
            for stain, slide in pair.slides:
                key = _key(stain, slide)
                if key not in self._reports:
                    self._reports[key] = assess_quality(slide, stain)
                if marks and stain is Stain.IHC and (key, marks) not in self._marked:
                    self._marked[key, marks] = assess_marked(slide, marks)
        return self._reports_of(pair, marks) or ()


def _look_and_go_on(
    look: Callable[[], Reports],
    overruled: tuple[tuple[str, str], ...],
    steps: Iterator[_Step],
) -> Iterator[_Step | QualityLooked]:
    reports = look()
    is_blocked = bool(blocked_by(reports, overruled))
    yield QualityLooked(reports, is_blocked)
    if not is_blocked:
        yield from steps


def _key(stain: Stain, slide: Slide) -> _Key:
    return stain, slide.fingerprint, slide.mpp


def _by_score(mark: ControlMark) -> int:
    return CONTROL_SCORES.index(mark.score)
