"""Drive the real window through a whole reading and leave a picture of each step.

    python examples/guided_tour.py OUTDIR [--case MANIFEST] [--bundle FOLDER]

Opens the sample case, runs the AI on the view and on a drawn region, looks at the
overlays, reads first, reveals, reads the IHC by its cells, overrides with a reason
and exports: by clicking what a reader clicks. OUTDIR gets a PNG per step, the
exported files and ``summary.json``; the exit code is 1 when a step fails. Journal,
cache and napari's settings are temporary, nothing of the user's own is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from readers_hand import (
    StepError,
    answer_folder_dialog,
    canvas_at,
    choose,
    click,
    drag,
    expect,
    take_picture,
    wait,
    wait_until,
)

SIZE_PX = (1600, 1000)
READER = "Dr Guided Tour"
VIEW_PX_PER_UM = 1.6
RUN_S = 600


class Tour:
    """The window and the log of what was done in it."""

    def __init__(self, out: Path, bundle: Path) -> None:
        import napari

        from napari_her2.viewer.desk import desk_of
        from napari_her2.widgets.workspace import open_workspace

        self.out = out
        self.steps: list[dict[str, object]] = []
        self.viewer = napari.Viewer(title="napari-her2")
        self.desk = desk_of(self.viewer)
        self.state = self.desk.session.state
        self.desk.session.choose_bundle(bundle)
        docks = open_workspace(self.viewer)
        self.assist, self.review = docks["Assist"], docks["Review"]
        self.case = docks["Case"]
        self.window = self.assist.window()
        self.window.setGeometry(0, 0, *SIZE_PX)
        wait(0.5)

    @contextmanager
    def step(self, name: str, says: str) -> Iterator[None]:
        """Do one step, let the window settle and take its picture."""
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.settle()
        file = f"{len(self.steps) + 1:02d}_{name}.png"
        take_picture(self.window, self.out / file)
        self.steps.append({"picture": file, "says": says, "seconds": round(seconds, 2)})
        print(f"{file}: {says} ({seconds:.1f} s)", flush=True)

    def settle(self) -> None:
        """Wait until overlays are refreshed and every layer in sight is loaded."""
        wait(0.8)
        wait_until(lambda: all(layer.loaded for layer in self.viewer.layers), 60)
        wait(0.4)

    def show(self, *rows: int) -> None:
        """Tick these overlays, by their row in the dock, and no other."""
        for index, row in enumerate(self.assist.overlays.rows):
            if row.check.isEnabled() and row.check.isChecked() != (index in rows):
                click(row.check)

    def register(self) -> dict[str, object]:
        """Register the slides and return what is known of the error."""
        count = len(self.state.versions)
        wait_until(lambda: self.case.pairing.register.isEnabled(), RUN_S)
        click(self.case.pairing.register)
        wait_until(lambda: len(self.state.versions) > count, RUN_S)
        error = self.state.pair.registration.error
        light = error.light(self.state.error_limits)
        expect(light != "red", f"the light is {light}: {error.sentence()}")
        return {"light": light, "says": error.sentence()}

    def finish_run(self) -> dict[str, object]:
        """Wait for the end of a run and return its figures."""
        wait_until(lambda: not self.desk.runner.is_busy, RUN_S)
        run = self.state.run
        expect(run.phase == "finished", f"the run ended as {run.phase}: {run.message}")
        return {"tiles": run.n_tiles, "known_before": run.n_cached}


def slides_of(case: Path) -> list[Path]:
    """Return the slides of a case, as if it had no registration."""
    from napari_her2.slides.case import read_case

    opened = read_case(case)
    return [path for path in (opened.he, opened.ihc) if path is not None]


def densest_spot_um(slide: Any) -> tuple[float, float]:
    """Return (y, x) of the spot with most nuclei: something worth looking at."""
    import numpy as np
    from scipy.ndimage import uniform_filter

    small = np.asarray(slide.levels[-1])
    um = slide.mpp * slide.shape[0] / small.shape[0]
    dark = uniform_filter(255.0 - small[..., 0], size=max(3, round(400 / um)))
    edge = min(round(350 / um), min(dark.shape) // 3)
    inner = dark[edge:-edge, edge:-edge]
    y, x = np.unravel_index(inner.argmax(), inner.shape)
    return float((y + edge) * um), float((x + edge) * um)


def read_a_case(tour: Tour, case: Path) -> dict[str, object]:
    """Do all steps and return what was run and decided."""
    from napari_her2.app.run_plan import RunTarget
    from napari_her2.core.score import Score
    from napari_her2.review.events import ReasonCode
    from napari_her2.viewer.roles import Role, find

    state, review, runs = tour.state, tour.review, {}
    camera, buttons = tour.viewer.scene.camera, tour.assist.runs
    with tour.step("open", "Two slides are open; how they lie is checked by itself."):
        tour.desk.registrar.is_eager = False  # the next step registers them
        tour.desk.open_paths(slides_of(case))
        expect(state.pair is not None, f"not opened: {state.notice}")
        wait_until(lambda: state.pair.registration.error is not None, RUN_S)
    review.reader.setText(READER)
    review.reader.editingFinished.emit()
    with tour.step(
        "registered", "Registered: the IHC lies on the H&E, the error told."
    ):
        runs["registration"] = tour.register()
        ihc = find(tour.viewer.layers, Role.IHC)
        ihc.visible, ihc.opacity = True, 0.5
    ihc.visible, ihc.opacity = False, 1.0
    camera.center = (0, *densest_spot_um(state.pair.reference))
    camera.zoom = VIEW_PX_PER_UM
    tour.settle()
    with tour.step("running", "The AI runs on the view; tiles appear one by one."):
        click(buttons.run[RunTarget.VIEW])
        wait_until(lambda: state.run.n_done > state.run.n_cached, RUN_S)
    runs["view"] = tour.finish_run()
    with tour.step("view_done", "The view is done; the suggestion stays hidden."):
        expect(state.selected.suggestion_hidden, "the suggestion is not hidden")
    with tour.step("region", "A region is drawn on the slide."):
        tour.show()
        click(buttons.draw_region)
        drag(canvas_at(tour.window, 800, 330), (0.3, 0.2), (0.75, 0.85))
        wait_until(lambda: len(state.regions) == 1, 10)
    click(buttons.run[RunTarget.REGIONS])
    runs["region"] = tour.finish_run()
    with tour.step("attention", "Channel attention: where the model looked."):
        tour.desk.stage.look_at(state.regions[0])
        tour.show(2)
    with tour.step("branch_share", "How much each branch weighs, tile by tile."):
        tour.show(3)
    with tour.step("compare", "Closer: real and synthetic IHC move with the slide."):
        tour.show(0)
        camera.zoom = 2 * VIEW_PX_PER_UM
    with tour.step("first_read", "The reader's own call comes first."):
        click(review.first_read.scores[Score.ONE])
        expect(state.selected.suggestion_hidden, "revealed too early")
    with tour.step("reveal", "The suggestion, its probabilities and its evidence."):
        click(review.decision.reveal)
        expect(state.selected.suggestion is not None, "nothing was revealed")
    with tour.step("score_map", "The score of each tile, now that it may be shown."):
        tour.settle()
        tour.desk.stage.look_at(state.regions[0])
        tour.show(1)
        expect(tour.assist.overlays.rows[1].check.isChecked(), "no score map")
    runs["cells"] = look_at_cells(tour)
    suggested = state.selected.suggestion.call
    mine = Score.TWO if suggested is not Score.TWO else Score.ONE
    with tour.step("override", "The reader decides otherwise and says why."):
        form = review.decision.override
        choose(form.call, mine)
        choose(form.reason, ReasonCode.HETEROGENEITY)
        form.note.setText("two clones in one region")
        click(form.accept)
        expect(state.selected.record.decision is not None, "nothing was decided")
    with tour.step("export", "Decisions are written as CSV and JSON."):
        answer_folder_dialog(tour.out, lambda: click(review.export))
        expect(list(tour.out.glob("*.csv")), "nothing was exported")
    return {"runs": runs, "suggested": str(suggested)}


def look_at_cells(tour: Tour) -> dict[str, object]:
    """Read the IHC of the selected region by its cells, and look at one of them."""
    panel, state = tour.assist.cells, tour.state
    tour.show()
    with tour.step("cells", "The real IHC, cell by cell: call, sentence, shares."):
        wait_until(lambda: panel.read.isEnabled(), RUN_S)
        click(panel.read)
        wait_until(lambda: not tour.desk.cell_reader.is_busy, RUN_S)
        expect(state.cells is not None, f"no cells were read: {state.notice}")
        click(tour.review.decision.reveal)
    call = state.cells.call.reading
    with tour.step("cell", "One of the cells behind the call, and the reader agrees."):
        expect(panel.gallery.cells, "the gallery is empty")
        click(panel.gallery.cells[0])
        click(panel.gallery.agree)
        expect(state.cells.n_judged == 1, "the reader's word is missing")
    return {"call": str(call.call), "rule": call.rule, "cells": call.n_cells}


def summary_of(tour: Tour, done: dict[str, object]) -> dict[str, object]:
    """Return what the tour did, as plain JSON values."""
    from napari_her2 import __version__

    decision, bundle = tour.state.selected.record.decision, tour.state.bundle
    return {
        "software": f"napari-her2 {__version__}",
        "case": tour.state.case.case_id,
        "bundle": {"name": bundle.card.name, "sha256": bundle.sha256},
        **done,
        "first_read": str(decision.first_read),
        "decision": {
            "call": str(decision.call),
            "kind": str(decision.kind),
            "reason": decision.reason,
            "reader": decision.reader.name,
        },
        "steps": tour.steps,
        "files": sorted(path.name for path in tour.out.iterdir()),
    }


def main() -> int:
    """Read the command line, use temporary folders, and do the tour."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--case", type=Path)
    parser.add_argument("--bundle", type=Path)
    asked = parser.parse_args()
    out = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with own_settings():
        from napari_her2.app.resources import sample_case_path
        from napari_her2.models.bundle import shipped_bundle

        tour = Tour(out, asked.bundle or shipped_bundle())
        try:
            done = read_a_case(tour, asked.case or sample_case_path())
            summary = summary_of(tour, done)
        except StepError as error:
            take_picture(tour.window, out / "stopped.png")
            print(f"The tour stopped: {error}.", file=sys.stderr)
            return 1
        finally:
            tour.desk.close_case()
            tour.viewer.close()
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    return 0


@contextmanager
def own_settings() -> Iterator[None]:
    """Use a journal, a cache and napari settings of our own for a while."""
    with tempfile.TemporaryDirectory(prefix="napari-her2-tour-") as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder, "napari", "settings.yaml"))
        os.environ["NAPARI_HER2_JOURNAL"] = str(Path(folder, "journal.sqlite"))
        os.environ["NAPARI_HER2_CACHE"] = str(Path(folder, "cache"))
        yield


if __name__ == "__main__":
    sys.exit(main())
