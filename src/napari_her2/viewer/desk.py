"""One desk per napari viewer: its session, its layers and its running work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize, ref

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.models.bundle import shipped_bundle
from napari_her2.review.journal import Journal
from napari_her2.slides.case import MANIFEST_SUFFIX
from napari_her2.viewer.cell_layers import CellLayers
from napari_her2.viewer.cell_map import CellMap
from napari_her2.viewer.cell_pictures import CellPictures
from napari_her2.viewer.cell_reader import CellReader
from napari_her2.viewer.control_tool import ControlTool
from napari_her2.viewer.error_layer import ErrorLayer
from napari_her2.viewer.landmark_tool import LandmarkTool
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.preferences import (
    follow_preferences,
    read_preferences,
    remember_reader,
)
from napari_her2.viewer.quality_layers import QualityLayers
from napari_her2.viewer.quality_look import QualityLook
from napari_her2.viewer.registrar import Registrar
from napari_her2.viewer.runner import Runner
from napari_her2.viewer.screener import Screener
from napari_her2.viewer.stage import Stage

_desks: WeakKeyDictionary[Any, Desk] = WeakKeyDictionary()


class Desk:
    """What belongs to one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held, so that it can go.
    session
        State and commands of this viewer.
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self.session = session
        self.stage = Stage(viewer, session)
        self.runner = Runner(session)
        self.screener = Screener(session)
        self.registrar = Registrar(session)
        self.error_layer = ErrorLayer(viewer, session)
        self.landmarks = LandmarkTool(viewer, session)
        self.controls = ControlTool(viewer, session)
        self.quality = QualityLook(session)
        self.quality_layers = QualityLayers(viewer, session)
        self.cell_reader = CellReader(session)
        self.cell_layers = CellLayers(viewer, session)
        self.cell_pictures = CellPictures(session)
        self.cell_map = CellMap(viewer, session, self.cell_layers)
        # when the viewer goes; at the end of the program the system closes files
        finalize(viewer, session.close_case).atexit = False

    @property
    def viewer(self) -> Any:
        """The viewer; it outlives its desk."""
        return self._viewer()

    def follow_preferences(self) -> None:
        """Take over the reader's settings, now and whenever they change."""
        follow_preferences(self._on_preferences)
        self._on_preferences()
        self.session.state.events.reader_name.connect(remember_reader)

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open a case (manifest or folder), or an H&E slide and an IHC slide."""
        if len(paths) == 1 and _is_case(paths[0]):
            with noticed(self.session):
                self.session.open_case(paths[0])
        elif paths:
            self.open_slides(*paths[:2])

    def open_slides(self, he: Path | None, ihc: Path | None = None) -> None:
        """Open one or two slide files that have no manifest."""
        with noticed(self.session):
            self.session.open_files(he, ihc)

    def close_case(self) -> None:
        """Close the slides; a run on them stops first."""
        self.runner.abandon()
        self.registrar.cancel()
        self.cell_reader.abandon()
        self.session.close_case()

    def load_demo_bundle(self) -> None:
        """Load the bundle that ships with the package, if none is loaded."""
        if self.session.state.bundle is None:
            with noticed(self.session):
                self.session.choose_bundle(shipped_bundle())

    def run(self, target: RunTarget) -> None:
        """Start a run on what is in view, on the regions or on the slide."""
        self.stage.follow_view()
        self.runner.start(target)
        if self.session.state.run.is_running:
            self.stage.show_synthetic()

    def read_cells(self) -> None:
        """Read the cells of the region that is selected, else of what is in view."""
        self.stage.follow_view()
        self.cell_reader.start()

    def run_anyway(self) -> None:
        """Force the last run on what the model does not know; all of it is marked."""
        self._force(on=True)

    def stop_forcing(self) -> None:
        """Go back to runs that leave out what the model does not know."""
        self._force(on=False)

    def _force(self, *, on: bool) -> None:
        with noticed(self.session):
            self.session.force(on=on)
            self.stage.refresh_overlays()
            target = self.session.last_target
            # a slide that is refused runs no more once it is not forced
            if on or self.session.plan(target).can_run:
                self.run(target)

    def select_next(self) -> None:
        """Go to the next region of the list, and back to the first at its end."""
        state = self.session.state
        drawn = [region.region_id for region in state.regions]
        rows = [row.region.region_id for row in state.reviewed]
        ids = drawn + [region_id for region_id in rows if region_id not in drawn]
        if ids:
            here = ids.index(state.selected_id) if state.selected_id in ids else -1
            self.session.select(ids[(here + 1) % len(ids)])
            if (row := state.selected) is not None:
                self.stage.look_at(row.region)

    def _on_preferences(self) -> None:
        preferences = read_preferences()
        self.session.state.reader_name = preferences.reader_name
        self.session.state.first_read_required = preferences.first_read_required
        self.session.state.error_limits = preferences.error_limits
        self.session.state.use_profile = preferences.use_colour_profile
        self.registrar.is_eager = preferences.register_at_once


def desk_of(viewer: Any) -> Desk:
    """Return the desk of a viewer, made at the first call.

    ``viewer`` may be the proxy that napari hands to plug-ins.

    Raises
    ------
    StorageError
        If the journal of decisions cannot be opened.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)
    if viewer not in _desks:
        session = Session(Journal(), cache_dir=read_preferences().cache_folder)
        _desks[viewer] = Desk(viewer, session)
        _desks[viewer].follow_preferences()
        bind_keys(viewer)
    return _desks[viewer]


def give_desk(viewer: Any, session: Session) -> Desk:
    """Give a viewer a desk with a session made elsewhere (tests, scripts)."""
    _desks[viewer] = Desk(viewer, session)
    return _desks[viewer]


def bind_keys(viewer: Any) -> None:
    """Give a viewer our few keys; none of them is a key of a napari layer."""
    for key, act in _KEYS.items():
        viewer.bind_key(key, act, overwrite=True)


def _run_on_view(viewer: Any) -> None:
    """Run the AI on the view."""
    desk_of(viewer).run(RunTarget.VIEW)


def _blink(viewer: Any) -> None:
    """Show or hide the synthetic stain."""
    desk_of(viewer).stage.blink()


def _next_region(viewer: Any) -> None:
    """Go to the next region."""
    desk_of(viewer).select_next()


_KEYS = {"Shift-R": _run_on_view, "Shift-B": _blink, "Shift-N": _next_region}


def _is_case(path: Path) -> bool:
    return path.name.endswith(MANIFEST_SUFFIX) or (
        path.is_dir() and path.suffix != ".zarr"
    )
