"""Says that the model does not know what it sees, and asks before it runs anyway."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QMessageBox

from napari_her2.app.state import SessionState
from napari_her2.viewer.desk import Desk
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, label

UNKNOWN = (
    "The model does not know this tissue or stain: no suggestion, and no synthetic "
    "image where it is unfamiliar."
)
FORCED = (
    "FORCED RUN · The model does not know this tissue or stain. It may be wrong in "
    "any way."
)
QUESTION = "Run on unfamiliar tissue or stain?"
CONSEQUENCE = (
    "Nothing was measured about how this model does here. It will give a picture and "
    "a score that may be wrong in any way; both are marked as forced wherever they "
    "are shown, saved or exported."
)


class ForcedBanner(Listener):
    """Shown while the slide is unfamiliar or a run on it was forced."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.text = label(wrap=True)
        self.run_anyway = button(
            "Run anyway…", tip="Asks first; all that comes of it is marked as forced"
        )
        self.stop = button("Stop forcing", tip="Leave out what the model does not know")
        self.run_anyway.clicked.connect(self._on_run_anyway)
        self.stop.clicked.connect(desk.stop_forcing)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.text, 1)
        for act in (self.run_anyway, self.stop):
            layout.addWidget(act, 0, Qt.AlignmentFlag.AlignTop)
        events = self.session.state.events
        self.follow(
            self._draw, events.unfamiliar, events.refusals, events.forced, events.run
        )

    def _draw(self) -> None:
        state = self.session.state
        self.setVisible(state.unfamiliar or state.forced or bool(state.refusals))
        self.text.setText(_words(state))
        self.text.setProperty("look", "problem" if state.forced else "notice")
        self.text.style().unpolish(self.text)
        self.text.style().polish(self.text)
        self.run_anyway.setVisible(not state.forced)
        self.stop.setVisible(state.forced)
        for widget in (self.run_anyway, self.stop):
            widget.setEnabled(not state.run.is_running)

    def _on_run_anyway(self) -> None:
        if self.is_confirmed():
            self.desk.run_anyway()

    def is_confirmed(self) -> bool:
        """Ask the reader whether they mean it; not to is the default."""
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText(QUESTION)
        box.setInformativeText(CONSEQUENCE)
        run = box.addButton("Run anyway", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        return box.clickedButton() is run


def _words(state: SessionState) -> str:
    if state.forced:
        return FORCED
    return " ".join(state.refusals) if state.refusals else UNKNOWN
