"""The chosen model on the open slides: its results, its runs, why it may not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_her2.app.first_look import FirstLook, SlidesRefused
from napari_her2.app.run_plan import RunPlan, unknown_scales
from napari_her2.app.state import SessionState
from napari_her2.app.status import Notice
from napari_her2.core.errors import Her2Error, NotReadyError
from napari_her2.core.progress import Progress

if TYPE_CHECKING:
    from napari_her2.inference.analysis import Analysis
    from napari_her2.inference.store import ResultStore


ANYWAY = "Run anyway, in the Assist dock, marks all that comes of it as forced."


class ModelOnCase:
    """Follows a session's slides and bundle as it is told to.

    Parameters
    ----------
    state
        Of the session.
    cache_dir
        Folder of the result store; the user's cache folder when None.
    """

    def __init__(self, state: SessionState, cache_dir: Path | None) -> None:
        self._state = state
        self._cache_dir = cache_dir
        self._analysis: Analysis | None = None
        self._first_look = FirstLook()

    @property
    def results(self) -> ResultStore | None:
        """What was computed so far, None while the model cannot run."""
        return None if self._analysis is None else self._analysis.store

    def problem(self) -> str | None:
        """Return why the model cannot run on the open slides, None where it can."""
        if self._state.bundle is None:
            return "No model is loaded. Choose a bundle."
        if self._analysis is None:
            try:
                self._analysis = self._make()
            except Her2Error as error:
                return str(error)
        return None

    def take_up(self) -> None:
        """Begin with the slides and the bundle as they are now."""
        try:
            self._analysis = self._make()
            if self._analysis is not None:
                pair, bundle = self._analysis.pair, self._analysis.bundle
                self._state.refusals = self._first_look.known(pair, bundle) or ()
        except Her2Error as error:
            self._state.notice = Notice(str(error), is_error=False)

    def forget(self) -> None:
        """Let go of slides and bundle: one of them changes."""
        self._analysis = None
        self._state.refusals = ()

    def first_look(self) -> Callable[[], tuple[str, ...]] | None:
        """Return what finds refusals, for any thread; None if that is done already."""
        if self._analysis is None:
            return None
        pair, bundle = self._analysis.pair, self._analysis.bundle
        if self._first_look.known(pair, bundle) is not None:
            return None
        return partial(self._first_look.look, pair, bundle)

    def run(self, plan: RunPlan) -> Iterator[Progress | SlidesRefused]:
        """Return a run; unless it is forced it begins with a look at the slides.

        Raises
        ------
        NotReadyError
            If the plan cannot run, with the reason.
        """
        analysis = self._analysis
        if not plan.can_run or analysis is None:
            is_refused = bool(self._state.refusals) and not self._state.forced
            raise NotReadyError(
                plan.tooltip, ANYWAY if is_refused else "Then run again."
            )
        if self._state.pair is not None:
            # how the slides lie on each other may have been checked since
            analysis.pair = self._state.pair
        steps = analysis.run(
            plan.regions,
            near_yx_px=plan.near_yx_px,
            limits=self._state.error_limits,
        )
        if analysis.forced:
            return steps
        return self._first_look.before(analysis.pair, analysis.bundle, steps)

    def _make(self) -> Analysis | None:
        from napari_her2.inference.analysis import Analysis

        pair, bundle = self._state.pair, self._state.bundle
        if pair is None or bundle is None or unknown_scales(pair):
            return None
        return Analysis(
            pair, bundle, cache_dir=self._cache_dir, forced=self._state.forced
        )
