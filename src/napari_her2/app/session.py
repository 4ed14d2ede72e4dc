"""One viewer's session: the commands a window, a test or a script gives.

Long work is handed out as a generator (:meth:`Session.begin_run`), to be
iterated wherever the caller likes; what it yields comes back through
:meth:`Session.absorb` in the thread that owns the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_her2.app.cell_reading import CellReading
from napari_her2.app.first_look import SlidesRefused
from napari_her2.app.model_on_case import ModelOnCase
from napari_her2.app.pairing import Pairing
from napari_her2.app.quality import QualityCheck, QualityLooked
from napari_her2.app.reading import Reading
from napari_her2.app.run_plan import RunPlan, RunTarget, plan_run, situation_of
from napari_her2.app.state import SessionState
from napari_her2.app.status import Notice, RunPhase, RunStatus
from napari_her2.core.errors import NotReadyError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import (
    Progress,
    RegionDone,
    RunStarted,
    StainsDoubted,
    TileDone,
)
from napari_her2.core.records import UNFAMILIAR, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import Stain
from napari_her2.review.events import RegionKey
from napari_her2.slides.case import (
    Case,
    case_of_folder,
    read_case,
)
from napari_her2.slides.pair import SlidePair, open_loose, open_pair

if TYPE_CHECKING:
    from napari_her2.inference.store import ResultStore
    from napari_her2.review.journal import Journal

AppProgress = Progress | SlidesRefused | QualityLooked


class Session:
    """State and commands of one viewer.

    Parameters
    ----------
    journal
        Where acts are committed.
    cache_dir
        Folder of the result store; the user's cache folder when None.

    Attributes
    ----------
    state : SessionState
        Evented; change it through the commands.
    reading : Reading
        First reads, decisions and exports of the open case.
    pairing : Pairing
        How its slides lie on each other.
    quality : QualityCheck
        What was found on its slides, and what a reader overruled.
    cells : CellReading
        HER2 read from the cells of its IHC slide.
    """

    def __init__(self, journal: Journal, *, cache_dir: Path | None = None) -> None:
        self.state = SessionState()
        self.reading = Reading(self.state, journal)
        self.pairing = Pairing(self.state, journal)
        self._model = ModelOnCase(self.state, cache_dir)
        self.quality = QualityCheck(self.state, journal)
        self.cells = CellReading(self.state, self.reading, journal, cache_dir)
        self._run_regions: dict[str, Region] = {}
        self._run_target = RunTarget.VIEW
        self._run_began_s = 0.0
        self.state.events.pair.connect(self._on_pair_changed)
        self.state.events.reader_name.connect(self._on_reader_changed)
        self.state.events.first_read_required.connect(self._on_reader_changed)

    @property
    def results(self) -> ResultStore | None:
        """Overlays computed so far for this case with this bundle."""
        return self._model.results

    @property
    def last_target(self) -> RunTarget:
        """What the last run was on, the view before any."""
        return self._run_target

    def open_case(self, path: Path | str) -> None:
        """Open a case manifest, a folder with one, or a single H&E slide.

        Raises
        ------
        CaseError, SlideError
            The case that was open stays open.
        """
        path = Path(path)
        if path.is_dir() and path.suffix != ".zarr":
            self._open(case_of_folder(path))
        else:
            self._open(read_case(path))

    def open_files(self, he: Path | None, ihc: Path | None) -> None:
        """Open one or two slide files that have no manifest."""
        self._open(*open_loose(he, ihc, use_profile=self.state.use_profile))

    def close_case(self) -> None:
        """Close the slides and forget what was on screen; the journal keeps all."""
        pair = self.state.pair
        self._model.forget()
        self.state.case = None
        self.state.pair = None
        self.state.view_px = None
        self.state.reviewed = ()
        self.state.regions = ()
        self.state.selected_id = ""
        self.state.run = RunStatus()
        self.state.unfamiliar = self.state.forced = False
        self.state.stain_doubts = ()
        self.pairing.forget()
        if pair is not None:
            pair.close()

    def set_scale(self, stain: Stain, mpp: float) -> None:
        """Enter the µm/px of a slide that does not know its own.

        Raises
        ------
        UsageError
            If the value is no scale a slide scanner has.
        """
        pair = self.state.pair
        if pair is None:
            raise NotReadyError("No case is open.", "Open one first.")
        slide = pair.he if stain is Stain.HE else pair.ihc
        if slide is None:
            raise NotReadyError(f"This case has no {stain.label} slide.", "Open one.")
        scaled = slide.with_mpp(mpp)
        self._model.forget()
        if stain is Stain.HE:
            self.state.pair = replace(pair, he=scaled)
        else:
            self.state.pair = replace(pair, ihc=scaled)
        self._model.take_up()

    def choose_bundle(self, path: Path | str) -> None:
        """Load and verify a bundle.

        Raises
        ------
        BundleError
            With the reason why it is refused; the former bundle stays.
        """
        # imported late: a window opens before anybody needs a bundle
        from napari_her2.models.bundle import load_bundle

        bundle = load_bundle(Path(path))
        self._model.forget()
        self.state.unfamiliar = self.state.forced = False
        self.state.bundle = bundle
        self._model.take_up()

    def force(self, *, on: bool = True) -> None:
        """Have the model run on tissue or stain it does not know, or no longer.

        All that comes of a forced run is marked, and lies apart from the rest.

        Raises
        ------
        NotReadyError
            If nothing unfamiliar was found, or a run is under way.
        """
        if on and not (self.state.unfamiliar or self.state.refusals):
            raise NotReadyError(
                "Nothing unfamiliar was found on this slide.", "Run the AI as usual."
            )
        if self.state.run.is_running:
            raise NotReadyError("A run is under way.", "Cancel it or wait for it.")
        self._model.forget()
        self.state.forced = on
        self._model.take_up()

    def set_view(self, box_px: BoxPx | None) -> None:
        """Tell which part of the reference slide is on screen."""
        self.state.view_px = box_px

    def set_regions(self, regions: tuple[Region, ...]) -> None:
        """Take over the regions as drawn; see :meth:`Reading.draw`."""
        self.reading.draw(regions)

    def rename(self, region_id: str, name: str) -> None:
        """Give a drawn region another name; a blank one changes nothing."""
        if name.strip():
            self._change(region_id, name=name.strip())

    def exclude(self, region_id: str, *, on: bool) -> None:
        """Have what lies in a drawn region not count, or count again.

        Raises
        ------
        ReviewError
            If a reader acted on the region already.
        """
        self._change(region_id, is_excluded=on)

    def _change(self, region_id: str, **changes: Any) -> None:
        self.set_regions(
            tuple(
                replace(region, **changes) if region.region_id == region_id else region
                for region in self.state.regions
            )
        )

    def select(self, region_id: str) -> None:
        """Choose the region under review."""
        self.reading.select(region_id)

    def plan(self, target: RunTarget) -> RunPlan:
        """Return what a run would do now, or why it cannot run."""
        return plan_run(target, situation_of(self.state, self._model.problem))

    def first_look(self) -> Callable[[], tuple[str, ...]] | None:
        """Return what finds refusals, for any thread; None if that is done already.

        Hand what it returns to :meth:`refuse`.
        """
        return self._model.first_look()

    def refuse(self, refusals: tuple[str, ...]) -> None:
        """Take in why slides cannot be assessed; nothing runs on them unless forced."""
        self.state.refusals = refusals

    def begin_run(self, plan: RunPlan) -> Iterator[AppProgress]:
        """Return the run as a generator; closing it cancels between batches.

        Unless it is forced it begins with a first look at the slides.

        Raises
        ------
        NotReadyError
            If the plan cannot run, with the reason.
        """
        steps = self.quality.before(self._model.run(plan))
        if plan.target is RunTarget.VIEW:
            self.reading.forget_passing_views()
        self._run_target = plan.target
        self._run_regions = {region.region_id: region for region in plan.regions}
        self._run_began_s = time.monotonic()
        self.state.notice = None
        self.state.run = RunStatus(RunPhase.RUNNING)
        return steps

    def absorb(self, progress: AppProgress) -> None:
        """Bring the state up to date with one value a run yielded.

        Values that arrive after the case was closed are dropped.
        """
        if not self.state.run.is_running:
            return
        match progress:
            case SlidesRefused():
                self.state.run = RunStatus()
                self.refuse(progress.sentences)
            case QualityLooked():
                self.quality.take(progress.reports)
                if progress.is_blocked:
                    self.state.run = RunStatus()
            case StainsDoubted():
                self.state.stain_doubts = progress.sentences
            case RunStarted():
                self.state.run = replace(
                    self.state.run,
                    n_tiles=progress.n_tiles,
                    n_cached=progress.n_cached,
                    n_done=progress.n_cached,
                )
            case TileDone():
                self._absorb_tile(progress)
            case RegionDone():
                self._absorb_region(progress.suggestion)

    def end_run(self, phase: RunPhase, message: str = "") -> None:
        """Note how a run ended."""
        if self.state.run.is_running:
            self.state.run = replace(self.state.run, phase=phase, message=message)
            if message:
                self.state.notice = Notice(message, is_error=phase is RunPhase.FAILED)

    def _open(self, case: Case, pair: SlidePair | None = None) -> None:
        if pair is None:
            pair = open_pair(case, use_profile=self.state.use_profile)
        self.close_case()
        self.state.notice = None
        self.state.case = case
        key = RegionKey(case.case_id, pair.fingerprints)
        self.state.pair = self.pairing.restore(key, pair)
        self.reading.open(key)
        self._model.take_up()

    def _absorb_tile(self, tile: TileDone) -> None:
        run = self.state.run
        seconds = time.monotonic() - self._run_began_s
        computed = tile.n_done - run.n_cached
        self.state.run = replace(
            run,
            n_done=tile.n_done,
            n_tiles=tile.n_tiles,
            tiles_per_s=computed / seconds if computed > 0 else 0.0,
        )

    def _absorb_region(self, suggestion: Suggestion) -> None:
        # that there is no call says nothing a first read could lean on
        if suggestion.call == UNFAMILIAR:
            self.state.unfamiliar = True
        region = self._run_regions.get(suggestion.region_id)
        if region is not None:
            self.reading.suggest(region, suggestion)

    def _on_pair_changed(self, now: SlidePair | None, before: SlidePair | None) -> None:
        """Read through the new registration of the same slides."""
        if now is None or not now.same_slides(before):
            return
        if not now.same_slides(before, as_registered=True):
            self._model.forget()
            self._model.take_up()

    def _on_reader_changed(self) -> None:
        self.reading.refresh()
