"""How the window feels: time to the first picture, and panning during a run.

Needs a display (Xvfb with Mesa is enough). Under software GL the upload of a
texture alone takes tens of milliseconds, so panning is compared with the same
moves over arrays in memory, in the same process and window.

    python benchmarks/window.py OUT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication
from rows import row_of

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.models.bundle import shipped_bundle
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.writing import write_pair
from napari_her2.review.journal import Journal
from napari_her2.slides.slide import Slide
from napari_her2.viewer.desk import Desk, give_desk
from napari_her2.viewer.roles import Role, find
from napari_her2.widgets.workspace import open_workspace

COMMAND = "python benchmarks/window.py"
row = partial(row_of, COMMAND)
MOVES, SETTLE_S, STEP_PX = 60, 0.05, 160


def settle(seconds: float) -> float:
    """Let Qt work for a while; return how long it kept the main thread busy."""
    busy = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        QApplication.processEvents()
        busy += time.perf_counter() - start
        time.sleep(0.001)
    return busy


def pan(viewer: napari.Viewer, mpp: float, n_moves: int = MOVES) -> NDArray[np.float64]:
    """Pan in a zigzag at full resolution; main-thread seconds of each move."""
    camera = viewer.scene.camera
    camera.zoom = 1 / mpp
    busy = []
    for move in range(n_moves):
        start = time.perf_counter()
        turn = 1 if (move // 12) % 2 == 0 else -1
        y, x = camera.center[-2:]
        camera.center = (y + STEP_PX / 4 * mpp, x + turn * STEP_PX * mpp)
        blocked = time.perf_counter() - start
        busy.append(blocked + settle(SETTLE_S))
    return np.array(busy)


def in_memory(viewer: napari.Viewer, slide: Slide, mpp: float) -> Any:
    """Add a slide's pixels as arrays in memory, in place of the slide."""
    levels = [np.asarray(level) for level in slide.levels]
    return viewer.add_image(
        levels,
        name="in memory",
        multiscale=True,
        rgb=True,
        scale=(mpp, mpp),
        units=("um", "um"),
    )


def first_paint(viewer: napari.Viewer, desk: Desk, manifest: Path) -> float:
    """Open a case and return the seconds until its slide is on the canvas."""
    start = time.perf_counter()
    desk.open_paths([manifest])
    while True:
        QApplication.processEvents()
        layer = find(viewer.layers, Role.HE)
        if layer is not None and layer.loaded:
            viewer.screenshot(canvas_only=True, flash=False)
            return time.perf_counter() - start


def main() -> None:
    """Measure and write rows."""
    folder = Path(tempfile.mkdtemp())
    recipe = draw_recipe(11, width_um=4000.0, height_um=3200.0)
    manifest = write_pair(recipe, folder / "case")
    viewer = napari.Viewer(show=True)
    session = Session(Journal(folder / "journal.sqlite"), cache_dir=folder / "cache")
    desk = give_desk(viewer, session)
    open_workspace(viewer)
    viewer.window.resize(1600, 1000)
    settle(1.0)
    opened_s = first_paint(viewer, desk, manifest)
    session.choose_bundle(shipped_bundle())
    pair = session.state.pair
    assert pair is not None
    assert pair.he is not None
    assert pair.he.mpp is not None
    mpp = pair.he.mpp
    height, width = (side * mpp for side in pair.he.shape)
    home = (height / 4, width / 4)
    slide_layer = find(viewer.layers, Role.HE)
    memory_layer = in_memory(viewer, pair.he, mpp)

    def moves(*, slide: bool) -> NDArray[np.float64]:
        slide_layer.visible, memory_layer.visible = slide, not slide
        viewer.scene.camera.center = home
        settle(1.0)
        return pan(viewer, mpp)

    moves(slide=True), moves(slide=False)  # warm up
    idle = {kind: [moves(slide=kind) for _ in range(2)] for kind in (True, False)}
    desk.run(RunTarget.SLIDE)
    settle(5.0)
    busy = {kind: [moves(slide=kind) for _ in range(2)] for kind in (False, True)}
    still_running = session.state.run.is_running
    desk.runner.cancel()
    settle(3.0)

    def p95(parts: list[NDArray[np.float64]]) -> float:
        return float(np.percentile(np.concatenate(parts), 95))

    during = p95(busy[True]) / p95(idle[False])
    alike = p95(busy[True]) / p95(busy[False])
    steady = row(
        "panning during a run / in memory without a run (p95 of busy time)",
        during,
        "x",
        1.15,
    )
    # else it was measured when the run had ended
    steady["met"] = steady["met"] and still_running
    rows = [
        row("open a case of 8000 x 6400 px to first paint", opened_s, "s"),
        steady,
        row("panning / in memory, both during a run (p95)", alike, "x"),
        row(
            "panning / in memory, both without a run (p95)",
            p95(idle[True]) / p95(idle[False]),
            "x",
        ),
        row("panning in memory, main thread per move (p95)", p95(idle[False]), "s"),
    ]
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows))
    print(json.dumps(rows, indent=2))
    desk.close_case()
    viewer.close()


if __name__ == "__main__":
    main()
