"""A slide of 100,000 x 80,000 px: opening it, panning on it, a run over all of it.

    python benchmarks/big_slide.py [OUT.json] [--slides FOLDER]

Needs a display (Xvfb with Mesa is enough). Panning is compared with the same moves
over the same pixels as arrays in memory, in the same window and turn by turn. The
run is one over the whole slide with a network that does nothing, so that what is
measured is planning, reading and storing; each size has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rows import Rows, row_of
from virtual_slide import ISLANDS, write_virtual_slide

from napari_her2.core.score import Stain
from napari_her2.slides.slide import Slide, open_slide

COMMAND = "python benchmarks/big_slide.py"
MPP = 0.25
LARGE_PX, SMALL_PX = (80_000, 100_000), (40_000, 50_000)
CROP_PX = 8192
TURNS, MOVES = 8, 24
"""Short turns: what else the machine does meanwhile then falls on both alike."""
row = partial(row_of, COMMAND)


def opening(path: Path) -> Rows:
    """Time opening the slide, its colours looked at, imports done before."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        with open_slide(path, stain=Stain.HE):
            seconds.append(time.perf_counter() - began)
    return [
        row("open a slide of 100,000 x 80,000 px", median(seconds), "s", 2),
        row("open a slide of 100,000 x 80,000 px, slowest of 5", max(seconds), "s"),
    ]


def crop_in_memory(slide: Slide, y0: int, x0: int) -> list[NDArray[np.uint8]]:
    """Return a pyramid of 8192 px of the slide, its corner at (y0, x0)."""
    return [
        np.ascontiguousarray(
            level[
                y0 >> i : (y0 + CROP_PX) >> i,
                x0 >> i : (x0 + CROP_PX) >> i,
            ]
        )
        for i, level in enumerate(slide.levels[:4])
    ]


def panning(path: Path, before: Path) -> Rows:
    """Pan over the slide and over the same pixels in memory, turn by turn.

    Another slide, ``before``, is opened and closed first: the first layer in a
    process imports libraries for seconds, whatever the size of the slide.
    """
    import napari
    from napari.qt.threading import WorkerBase
    from window import pan, settle

    from napari_her2.app.session import Session
    from napari_her2.review.journal import Journal
    from napari_her2.viewer.desk import give_desk
    from napari_her2.viewer.roles import Role, find
    from napari_her2.widgets.workspace import open_workspace

    folder = Path(tempfile.mkdtemp())
    viewer = napari.Viewer(show=True)
    session = Session(Journal(folder / "journal.sqlite"), cache_dir=folder / "cache")
    desk = give_desk(viewer, session)
    open_workspace(viewer)
    viewer.window.resize(1600, 1000)
    settle(1.0)

    def paint(slide: Path) -> float:
        began = time.perf_counter()
        desk.open_slides(slide)
        while (layer := find(viewer.layers, Role.HE)) is None or not layer.loaded:
            settle(0.01)
        viewer.screenshot(canvas_only=True, flash=False)
        return time.perf_counter() - began

    paint(before)
    desk.close_case()
    settle(1.0)
    painted_s = paint(path)
    layer = find(viewer.layers, Role.HE)
    pair = session.state.pair
    assert pair is not None
    assert pair.he is not None
    share_y, share_x, _ = ISLANDS[1]
    corner = [
        (round(side * share) - CROP_PX // 2) // 128 * 128
        for side, share in zip(LARGE_PX, (share_y, share_x), strict=True)
    ]
    memory = viewer.add_image(
        crop_in_memory(pair.he, *corner),
        name="in memory",
        multiscale=True,
        rgb=True,
        scale=(MPP, MPP),
        translate=[side * MPP for side in corner],
        units=("um", "um"),
    )
    middle = tuple((side + CROP_PX // 2) * MPP for side in corner)

    def moves(*, slide: bool) -> NDArray[np.float64]:
        layer.visible, memory.visible = slide, not slide
        viewer.scene.camera.center = middle
        settle(1.0)
        return pan(viewer, MPP, MOVES)

    moves(slide=True), moves(slide=False)  # warm up
    busy: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    cpu_s = {True: 0.0, False: 0.0}
    for _ in range(TURNS):
        for kind in (True, False):
            began = time.thread_time()
            busy[kind].append(moves(slide=kind))
            cpu_s[kind] += time.thread_time() - began
    p95 = {kind: np.percentile(np.concatenate(busy[kind]), 95) for kind in busy}
    desk.close_case()
    viewer.close()
    WorkerBase.await_workers()  # Qt aborts where a thread outlives it
    return [
        row(
            "100,000 x 80,000 px: open to first paint in the window", painted_s, "s", 2
        ),
        row(
            "100,000 x 80,000 px: panning / in memory (p95 of busy time)",
            p95[True] / p95[False],
            "x",
            1.15,
        ),
        row(
            "100,000 x 80,000 px: main thread's CPU time while panning / in memory",
            cpu_s[True] / cpu_s[False],
            "x",
        ),
        row("100,000 x 80,000 px: in memory, per move (p95)", p95[False], "s"),
    ]


def whole_run(paths: list[Path]) -> Rows:
    """Measure the memory of a run that skips the background, at two sizes."""
    small, large = (_peak_mb(path) for path in paths)
    return [
        row("run over 50,000 x 40,000 px, peak memory", small["peak"], "MB"),
        row("run over 100,000 x 80,000 px, peak memory", large["peak"], "MB"),
        row(
            "peak memory of a run, 100,000 / 50,000 px wide",
            large["peak"] / small["peak"],
            "",
            1.2,
        ),
        row(
            "run over 100,000 x 80,000 px, tiles computed of all",
            100 * large["computed"] / large["tiles"],
            "%",
        ),
    ]


def _peak_mb(path: Path) -> dict[str, float]:
    script = Path(__file__).with_name("big_slide_memory.py")
    with tempfile.TemporaryDirectory() as store:
        answer = subprocess.run(
            [sys.executable, script, path, store],
            check=True,
            capture_output=True,
            text=True,
        )
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def main() -> None:
    """Measure, print the rows, and write them to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--slides", type=Path, help="keep the slides here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.slides or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        small = write_virtual_slide(folder / "50k.tif", SMALL_PX, MPP)
        large = write_virtual_slide(folder / "100k.tif", LARGE_PX, MPP)
        rows = [*opening(large), *whole_run([small, large]), *panning(large, small)]
    print(json.dumps(rows, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
