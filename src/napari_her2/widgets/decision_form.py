"""Reveal, confirm, override with a reason, sign an own read, defer, reopen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout

from napari_her2.core.records import Decision
from napari_her2.review.acts import Act
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.override_form import OverrideForm
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.reason_menu import ReasonMenu
from napari_her2.widgets.style import button, enable, label

_DEFER = ("ISH needed", "second reader needed", "better section needed")
_REOPEN = ("entered by mistake", "new evidence", "after consultation")


class DecisionForm(Listener):
    """What the reader decides on the selected region."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.reveal = button("Reveal AI", is_primary=True)
        self.confirm = button("Confirm AI")
        self.own_read = button("Sign own read")
        self.defer = ReasonMenu("Defer", _DEFER)
        self.reopen = ReasonMenu("Reopen", _REOPEN)
        self.override = OverrideForm()
        self.history = label(look="muted", wrap=True)
        self.reveal.clicked.connect(self._on_reveal)
        self.confirm.clicked.connect(self._on_confirm)
        self.own_read.clicked.connect(self._on_own_read)
        self.override.chosen.connect(self._on_override)
        self.defer.chosen.connect(self._on_defer)
        self.reopen.chosen.connect(self._on_reopen)
        self._lay_out()
        events = self.session.state.events
        self.follow(self._draw, events.reviewed, events.selected_id, events.reader_name)

    def _lay_out(self) -> None:
        rows = QGridLayout()
        rows.setSpacing(6)
        for column, widget in enumerate((self.reveal, self.confirm, self.own_read)):
            rows.addWidget(widget, 0, column)
            rows.setColumnStretch(column, 1)
        aside = QHBoxLayout()
        aside.addWidget(self.defer, 1)
        aside.addWidget(self.reopen, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(rows)
        layout.addWidget(self.override)
        layout.addLayout(aside)
        layout.addWidget(self.history)

    def _draw(self) -> None:
        reading = self.session.reading
        row = self.session.state.selected
        suggestion = None if row is None else row.suggestion
        enable(self.reveal, reading.refusal(Act.REVEAL), "Show the AI's suggestion")
        self.confirm.setText(
            "Confirm AI" if suggestion is None else f"Confirm {_short(suggestion.call)}"
        )
        by_cells = suggestion is not None and suggestion.cells is not None
        whose = "the call read from the cells" if by_cells else "the suggestion"
        enable(self.confirm, reading.refusal(Act.CONFIRM), f"Adopt {whose}")
        needs_read = (
            None
            if self.own_first_read
            else "Give your first read; signing makes it final."
        )
        enable(
            self.own_read,
            reading.refusal(Act.OWN_READ)
            or (None if self.own_first_read else needs_read),
            "Decide by your own read, without the AI",
        )
        self.override.show_refusal(reading.refusal(Act.OVERRIDE))
        enable(self.defer, reading.refusal(Act.DEFER), "Leave it undecided, say why")
        enable(self.reopen, reading.refusal(Act.REOPEN), "Decide anew, say why")
        decisions = () if row is None else row.record.decisions
        deferral = None if row is None else row.record.deferral
        lines = [_sentence(decision) for decision in decisions]
        if deferral is not None:
            lines.append(f"Deferred by {deferral.reader.name}: {deferral.note}")
        self.history.setText("\n".join(lines) or "No decision yet: exports as pending.")

    def _do(self, act: Callable[..., Any], *arguments: Any) -> None:
        with noticed(self.session):
            act(*arguments)

    def _on_reveal(self) -> None:
        self._do(self.session.reading.reveal)

    def _on_confirm(self) -> None:
        self._do(self.session.reading.confirm)

    def _on_own_read(self) -> None:
        own = self.own_first_read
        if own is not None:
            self._do(self.session.reading.own_read, own)

    def _on_override(self, *arguments: Any) -> None:
        self._do(self.session.reading.override, *arguments)

    def _on_defer(self, reason: str) -> None:
        self._do(self.session.reading.defer, reason)

    def _on_reopen(self, reason: str) -> None:
        self._do(self.session.reading.reopen, reason)


def _short(call: object) -> str:
    text = str(call)
    return text if len(text) <= 2 else "call"


def _sentence(decision: Decision) -> str:
    """Write a decision as one line of its history."""
    why = f", {decision.reason}" if decision.reason else ""
    when = decision.utc.strftime("%Y-%m-%d %H:%M UTC")
    return f"{decision.call}: {decision.kind} by {decision.reader.name}{why} ({when})"
