"""Buttons that mark the control tissue on the IHC, one for each score."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout

from napari_her2.core.records import CONTROL_SCORES
from napari_her2.core.score import Score
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, enable, label

NO_READER = "Enter your name first."


class ControlMarks(Listener):
    """Shown where a case has an IHC slide."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.hint = label(look="caution", wrap=True)
        self.buttons = {score: button(str(score)) for score in CONTROL_SCORES}
        self.clear = button("Clear", tip="Take the marks away")
        row = QHBoxLayout()
        row.addWidget(label("Mark control", "muted"))
        for score, each in self.buttons.items():
            each.setCheckable(True)
            each.clicked.connect(partial(self._on_score, score))
            row.addWidget(each, 1)
        row.addWidget(self.clear, 1)
        self.clear.clicked.connect(self._on_clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(self.hint)
        events = self.session.state.events
        self.follow(self._draw, events.pair, events.controls, events.reader_name)
        self.follow(self._draw, desk.controls.awaited_changed)

    def _draw(self) -> None:
        state, awaited = self.session.state, self.desk.controls.awaited
        self.setVisible(state.pair is not None and state.pair.ihc is not None)
        refusal = None if state.reader is not None else NO_READER
        marked = {mark.score for mark in state.controls}
        for score, each in self.buttons.items():
            words = "again" if score in marked else "on the IHC"
            tip = f"Drag a box round the control that should read {score}, {words}"
            enable(each, refusal, tip)
            each.setText(f"{score} ✓" if score in marked else str(score))
            each.setChecked(score is awaited)
        self.clear.setVisible(bool(marked))
        self.clear.setEnabled(refusal is None)
        self.hint.setVisible(awaited is not None)
        self.hint.setText(f"Drag a box round the control that should read {awaited}.")

    def _on_score(self, score: Score, on: bool) -> None:
        if on:
            self.desk.controls.start(score)
        else:
            self.desk.controls.stop()

    def _on_clear(self) -> None:
        with noticed(self.session):
            self.session.quality.clear_controls()
