"""What ``napari.yaml`` names: reader, sample data, docks and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_warning
from napari.viewer import current_viewer
from qtpy.QtCore import QTimer

from napari_her2.app.resources import sample_case_path
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.errors import NotReadyError
from napari_her2.slides.case import MANIFEST_SUFFIX
from napari_her2.viewer.desk import Desk, desk_of
from napari_her2.viewer.preferences import PLUGIN
from napari_her2.viewer.slide_layers import slide_layers
from napari_her2.widgets.assist_dock import AssistDock
from napari_her2.widgets.case_dock import CaseDock
from napari_her2.widgets.compare_dock import CompareDock
from napari_her2.widgets.review_dock import ReviewDock
from napari_her2.widgets.workspace import open_workspace

_NO_LAYERS: list[Any] = [(None,)]
"""What napari takes for "read, and nothing to add": a notice says why."""

ReadLayers = Callable[[Any], list[Any]]


class Case(CaseDock):
    """The Case dock of a napari viewer."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(desk_of(napari_viewer))


class Assist(AssistDock):
    """The Assist dock of a napari viewer."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(_desk_with_model(napari_viewer))


class Review(ReviewDock):
    """The Review dock of a napari viewer."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(desk_of(napari_viewer))


class Compare(CompareDock):
    """The Compare dock of a napari viewer."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(desk_of(napari_viewer))


def get_reader(path: str | Sequence[str]) -> ReadLayers | None:
    """Return a reader for one case manifest, None for anything else."""
    if isinstance(path, str) and path.endswith(MANIFEST_SUFFIX):
        return read_layers
    return None


def read_layers(path: str) -> list[Any]:
    """Open a case in the session of the current viewer.

    The stage adds the layers: those that napari adds for a reader carry the path,
    and the path of a case may say who the patient is.
    """
    _open_here(Path(path))
    return _NO_LAYERS


def sample_data() -> list[Any]:
    """Open the virtual sample case and return its layers."""
    desk = _open_here(sample_case_path(), adds_slides=False)
    if desk is None:
        return _NO_LAYERS
    state = desk.session.state
    if state.pair is None or state.case is None:
        return _NO_LAYERS
    return list(slide_layers(state.pair, state.case.case_id))


def _open_here(path: Path, *, adds_slides: bool = True) -> Desk | None:
    """Open a case in the current viewer; a warning says why it could not be."""
    viewer = current_viewer()
    if viewer is None:
        raise NotReadyError(
            "A case opens in a napari window.", "Start one with: napari-her2 open CASE"
        )
    desk = desk_of(viewer)
    state = desk.session.state
    before = state.case
    with nullcontext() if adds_slides else desk.stage.slides_added_elsewhere():
        desk.open_paths([path])
    if state.case is None or state.case is before:
        if state.notice is not None:
            show_warning(state.notice.text)  # the docks may not be open
        return None
    return desk


def open_review_workspace(viewer: napari.Viewer) -> None:
    """Open all docks in the layout for reading."""
    open_workspace(viewer)


def run_on_view(viewer: napari.Viewer) -> None:
    """Run the AI on what the main canvas shows."""
    _run(viewer, RunTarget.VIEW)


def run_on_regions(viewer: napari.Viewer) -> None:
    """Run the AI on the regions the reader drew."""
    _run(viewer, RunTarget.REGIONS)


def run_on_slide(viewer: napari.Viewer) -> None:
    """Run the AI on the whole slide."""
    _run(viewer, RunTarget.SLIDE)


def cancel_run(viewer: napari.Viewer) -> None:
    """Stop the run; tiles that are done stay."""
    desk_of(viewer).runner.cancel()


def draw_region(viewer: napari.Viewer) -> None:
    """Let the reader drag a new region."""
    desk_of(viewer).stage.draw_rectangle()


def blink_synthetic(viewer: napari.Viewer) -> None:
    """Show or hide the synthetic IHC."""
    desk_of(viewer).stage.blink()


def open_window(paths: Sequence[Path] = ()) -> None:
    """Open napari with the review workspace and run until it is closed.

    Parameters
    ----------
    paths
        A case manifest or its folder, or an H&E slide and an IHC slide.
    """
    viewer = napari.Viewer(title="napari-her2")
    docks = open_workspace(viewer)
    window = docks["Review"].window()
    # some window systems know no maximised windows
    window.setGeometry(window.screen().availableGeometry())
    window.showMaximized()
    # fit the slide to the canvas once the window has its final size
    QTimer.singleShot(0, partial(desk_of(viewer).open_paths, list(paths)))
    napari.run()


def _run(viewer: napari.Viewer, target: RunTarget) -> None:
    # progress, cancel and what went wrong are told in the Assist dock
    viewer.window.add_plugin_dock_widget(PLUGIN, "Assist")
    desk_of(viewer).run(target)


def _desk_with_model(viewer: Any) -> Desk:
    desk = desk_of(viewer)
    desk.load_demo_bundle()
    return desk
