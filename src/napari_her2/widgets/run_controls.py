"""Start and cancel runs; what may start now is asked of the session."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.status import RunPhase
from napari_her2.viewer.desk import Desk
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, enable, label

_TITLES = {
    RunTarget.VIEW: "Run on view",
    RunTarget.REGIONS: "Run on regions",
    RunTarget.SLIDE: "Whole slide",
}

EXCLUDE = (
    "Drag a rectangle whose cells do not count: in-situ carcinoma, normal glands, "
    "an artefact"
)


class RunControls(Listener):
    """Run buttons, region tools, progress and cancel."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.run = {
            target: button(title, is_primary=target is RunTarget.VIEW)
            for target, title in _TITLES.items()
        }
        self.run[RunTarget.VIEW].clicked.connect(self._on_view)
        self.run[RunTarget.REGIONS].clicked.connect(self._on_regions)
        self.run[RunTarget.SLIDE].clicked.connect(self._on_slide)
        self.draw_region = button("Draw region", tip="Drag a rectangle on the slide")
        self.exclude_area = button("Exclude area", tip=EXCLUDE)
        self.add_square = button("1 mm² box", tip="Add 1 mm² in the middle of the view")
        self.draw_region.clicked.connect(self._on_draw)
        self.exclude_area.clicked.connect(self._on_exclude)
        self.add_square.clicked.connect(desk.stage.add_square_mm)
        self.reason = label(look="caution", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.status = label(look="muted", wrap=True)
        self.cancel = button("Cancel", tip="Stop; tiles that are done stay")
        self.cancel.clicked.connect(self._on_cancel)
        self._lay_out()
        events = self.session.state.events
        self.follow(
            self._draw_plans,
            events.case,
            events.pair,
            events.bundle,
            events.view_px,
            events.regions,
            events.run,
            events.refusals,
            events.forced,
            events.pairing_work,
        )
        self.follow(self._draw_progress, events.run)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        runs, tools, progress = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for widget in self.run.values():
            runs.addWidget(widget, 1)
        tools.addWidget(self.draw_region, 1)
        tools.addWidget(self.exclude_area, 1)
        tools.addWidget(self.add_square, 1)
        progress.addWidget(self.status, 1)
        progress.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignTop)
        for row in (runs, tools):
            layout.addLayout(row)
        layout.addWidget(self.reason)
        layout.addWidget(self.bar)
        layout.addLayout(progress)

    def _draw_plans(self) -> None:
        for target, widget in self.run.items():
            plan = self.session.plan(target)
            keys = "\nKey: Shift+R" if target is RunTarget.VIEW else ""
            refusal = None if plan.can_run else plan.tooltip
            enable(widget, refusal, plan.tooltip + keys)
        state = self.session.state
        view = self.session.plan(RunTarget.VIEW)
        is_open = state.pair is not None
        # refusals stand in the banner below
        told = [reason for reason in view.reasons if reason not in state.refusals]
        self.reason.setVisible(is_open and bool(told) and not state.run.is_running)
        self.reason.setText("\n".join(told))
        for tool in (self.draw_region, self.exclude_area, self.add_square):
            tool.setEnabled(is_open)

    def _draw_progress(self) -> None:
        run = self.session.state.run
        is_idle = run.phase is RunPhase.IDLE
        self.bar.setVisible(run.is_running)
        self.cancel.setVisible(run.is_running)
        self.status.setVisible(not is_idle)
        if run.is_running:
            self.cancel.setEnabled(True)
            self.cancel.setText("Cancel")
        self.bar.setRange(0, max(run.n_tiles, 0))
        self.bar.setValue(run.n_done)
        self.status.setText(run.sentence)

    def _on_draw(self) -> None:
        self.desk.stage.draw_rectangle()

    def _on_exclude(self) -> None:
        self.desk.stage.draw_rectangle(is_excluded=True)

    def _on_view(self) -> None:
        self.desk.run(RunTarget.VIEW)

    def _on_regions(self) -> None:
        self.desk.run(RunTarget.REGIONS)

    def _on_slide(self) -> None:
        self.desk.run(RunTarget.SLIDE)

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.cancel.setText("Cancelling…")
        self.desk.runner.cancel()
