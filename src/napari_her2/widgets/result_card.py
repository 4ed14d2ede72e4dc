"""What the network suggests for the selected region, once the reader may see it."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_her2.app.pairing import pairing_caution
from napari_her2.app.state import RegionReview
from napari_her2.core.records import UNFAMILIAR as UNKNOWN
from napari_her2.core.records import Evidence, Suggestion
from napari_her2.core.score import Score
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.evidence import evidence_in
from napari_her2.widgets.call_head import CallHead
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.probability_bars import ProbabilityBars
from napari_her2.widgets.style import fill, label
from napari_her2.widgets.suggestion_words import (
    arm_line,
    arm_tip,
    caution_line,
    gate_line,
    gate_tip,
    set_line,
    set_tip,
)

HIDDEN = "Suggestion ready. Give your first read to reveal it."
READ_GIVEN = "Suggestion ready. Your first read is locked: reveal it when you wish."
NAMELESS = "Suggestion ready. Enter your name in the Review dock to go on."
NONE_TO_HIDE = f"No suggestion: {UNKNOWN.reason}."
RUNNING = "The suggestion comes when the run is done."
NOTHING = "No suggestion yet. Run the AI on a view or a region."


class ResultCard(Listener):
    """The suggestion of the selected region; empty of it while it is hidden.

    That the model does not know the tissue is told at once: there is no call that
    could lean on a first read.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.region = label(look="heading")
        self.message = label(look="muted", wrap=True)
        self.meaning = label(wrap=True)
        self.caution = label(look="caution", wrap=True)
        self.pairing = label(look="caution", wrap=True)
        self.bars = ProbabilityBars()
        self.prediction_set = label(wrap=True)
        self.arm = label(wrap=True)
        self.gate = label(wrap=True)
        self.evidence = label(look="muted", wrap=True)
        self.head = CallHead(self.meaning, self.prediction_set)
        self._open = QWidget()
        inner = QVBoxLayout(self._open)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(3)
        for widget in (
            self.head,
            self.caution,
            self.pairing,
            self.bars,
            self.arm,
            self.gate,
            self.evidence,
        ):
            inner.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.region, self.message, self._open):
            layout.addWidget(widget)
        events = self.session.state.events
        self.follow(
            self._draw,
            events.reviewed,
            events.selected_id,
            events.run,
            events.reader_name,
            events.forced,
            events.pair,
            events.error_limits,
        )

    def _draw(self) -> None:
        row = self.session.state.selected
        suggestion = None if row is None else row.by_network
        self.region.setText("Suggestion" if row is None else _title(row))
        self._open.setVisible(suggestion is not None)
        self.message.setVisible(suggestion is None)
        if suggestion is None or row is None:
            self._clear()
            self.message.setText(self._why_empty(row))
        else:
            self._show(row, suggestion)

    def _why_empty(self, row: RegionReview | None) -> str:
        state = self.session.state
        if row is None or not row.network_hidden:
            return RUNNING if state.run.is_running else NOTHING
        if row.record.by_network is not None and row.record.by_network.call == UNKNOWN:
            return NONE_TO_HIDE
        if state.reader is None:
            return NAMELESS
        return HIDDEN if self.own_first_read is None else READ_GIVEN

    def _clear(self) -> None:
        self.head.show_call(None)
        for widget in (
            self.meaning,
            self.caution,
            self.pairing,
            self.prediction_set,
            self.arm,
            self.gate,
            self.evidence,
        ):
            widget.setText("")
            widget.setToolTip("")
        self.bars.show_shares(())

    def _show(self, row: RegionReview, suggestion: Suggestion) -> None:
        call = suggestion.call
        self.head.show_call(call)
        self.meaning.setText(call.meaning if isinstance(call, Score) else str(call))
        is_told = self.session.state.forced
        fill(self.caution, caution_line(suggestion, is_told=is_told))
        fill(self.pairing, self._pairing(row, suggestion))
        self.bars.setVisible(bool(suggestion.probabilities))
        self.bars.show_shares(suggestion.probabilities)
        fill(self.prediction_set, set_line(suggestion), set_tip(suggestion))
        fill(self.arm, arm_line(suggestion), arm_tip(suggestion))
        fill(self.gate, gate_line(suggestion), gate_tip(suggestion))
        store = self.session.results
        weighed = None if store is None else evidence_in(store, row.region)
        fill(self.evidence, "" if weighed is None else weighed.sentence)

    def _pairing(self, row: RegionReview, suggestion: Suggestion) -> str:
        state = self.session.state
        if state.pair is None or suggestion.evidence is not Evidence.BOTH:
            return ""
        return pairing_caution(state.pair, row.region, state.error_limits)


def _title(row: RegionReview) -> str:
    leads = row.record.by_cells is None
    return (
        f"{'Suggestion' if leads else 'Network, beside the cells'} · {row.region.name}"
    )
