"""The quality of the open slides: looked at once, shown, overruled with a reason.

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
from napari_her2.review.events import QualityOverruled, RegionKey

if TYPE_CHECKING:
    from napari_her2.core.score import Stain
    from napari_her2.review.journal import Journal
    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.quality.finding import Finding, QualityReport
    from napari_her2.slides.slide import Slide

Reports = tuple["QualityReport", ...]
_Key = tuple["Stain", str, float | None]
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
        Of the session; ``quality`` and ``overruled`` are kept up to date.
    journal
        Where an overruling is committed first.
    """

    def __init__(self, state: SessionState, journal: Journal) -> None:
        self._state = state
        self._journal = journal
        self._lock = Lock()
        self._reports: dict[_Key, QualityReport] = {}
        state.events.pair.connect(self._on_pair)

    def look(self) -> Callable[[], Reports] | None:
        """Return what assesses the slides, for any thread; None if that is done.

        Hand what it returns to :meth:`take`.
        """
        pair = self._state.pair
        if pair is None or self._known(pair) is not None:
            return None
        return partial(self._look, pair)

    def take(self, reports: Reports) -> None:
        """Take in what was found on the open slides."""
        self._state.quality = reports

    def before(self, steps: Iterator[_Step]) -> Iterator[_Step | QualityLooked]:
        """Return the steps of a run, behind a look at slides that had none."""
        pair = self._state.pair
        if pair is None or (self._known(pair) is not None and self._state.quality):
            return steps
        return self._look_and_go_on(pair, self._state.overruled, steps)

    def overrule(self, stain: Stain, finding: Finding, reason: str) -> None:
        """Have the AI run in spite of a finding; the reason is journaled.

        Raises
        ------
        ReviewError
            If no reader is named, no reason is given, or no case is open.
        """
        reader, key = self._state.reader, self._case_key()
        if reader is None:
            raise ReviewError("No reader is named.", "Enter your name first.")
        if not reason.strip():
            raise ReviewError("A finding is overruled with a reason.", "Give one.")
        if key is None:
            raise ReviewError("No case is open.", "Open one first.")
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
        pairs = {*self._state.overruled, (stain.value, finding.kind.value)}
        self._state.overruled = tuple(sorted(pairs))

    def is_overruled(self, report: QualityReport, finding: Finding) -> bool:
        """Whether a reader overruled a finding on these slides."""
        return key_of(report, finding) in self._state.overruled

    def _on_pair(self, now: SlidePair | None, before: SlidePair | None) -> None:
        # how the slides lie on each other says nothing of their quality
        if now is not None and now.same_slides(before):
            return
        key = self._case_key()
        self._state.quality = () if now is None else self._known(now) or ()
        if key is None:
            self._state.overruled = ()
            return
        events = self._journal.events(key.case_id)
        found = {
            (event.stain, event.finding)
            for event in events
            if isinstance(event, QualityOverruled) and event.key == key
        }
        self._state.overruled = tuple(sorted(found))

    def _case_key(self) -> RegionKey | None:
        pair, case = self._state.pair, self._state.case
        if pair is None or case is None:
            return None
        return RegionKey(case.case_id, pair.fingerprints)

    def _known(self, pair: SlidePair) -> Reports | None:
        keys = [_key(stain, slide) for stain, slide in pair.slides]
        if any(key not in self._reports for key in keys):
            return None
        return tuple(self._reports[key] for key in keys)

    def _look(self, pair: SlidePair) -> Reports:
        # imported late: a window opens before anybody looks
        from napari_her2.slides.quality.assess import assess_quality

        with self._lock:
            for stain, slide in pair.slides:
                if _key(stain, slide) not in self._reports:
                    self._reports[_key(stain, slide)] = assess_quality(slide, stain)
        return self._known(pair) or ()

    def _look_and_go_on(
        self,
        pair: SlidePair,
        overruled: tuple[tuple[str, str], ...],
        steps: Iterator[_Step],
    ) -> Iterator[_Step | QualityLooked]:
        reports = self._look(pair)
        is_blocked = bool(blocked_by(reports, overruled))
        yield QualityLooked(reports, is_blocked)
        if not is_blocked:
            yield from steps


def _key(stain: Stain, slide: Slide) -> _Key:
    return stain, slide.fingerprint, slide.mpp
