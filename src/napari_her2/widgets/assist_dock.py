"""The Assist dock: the model, its runs, and what it suggests."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout

from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.cell_panel import CellPanel
from napari_her2.widgets.forced_banner import ForcedBanner
from napari_her2.widgets.notice_line import NoticeLine
from napari_her2.widgets.overlay_controls import OverlayControls
from napari_her2.widgets.panel import Panel
from napari_her2.widgets.result_card import ResultCard
from napari_her2.widgets.run_controls import RunControls
from napari_her2.widgets.style import button, label, rule


class AssistDock(Panel):
    """Runs the AI and shows what it made."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = label(look="strong")
        self.intended_use = label(look="muted")
        self.trained_on = label(look="muted", wrap=True)
        self.choose = button("Change model…", tip="Choose the folder of a bundle")
        self.choose.clicked.connect(self._on_choose)
        self.notice = NoticeLine(desk)
        self.cells = CellPanel(desk)
        self.runs = RunControls(desk)
        self.forced = ForcedBanner(desk)
        self.result = ResultCard(desk)
        self.overlays = OverlayControls(desk)
        head = QHBoxLayout()
        head.addWidget(self.model)
        head.addWidget(self.intended_use, 1)
        head.addWidget(self.choose)
        self.column.addWidget(self.notice)
        self.column.addWidget(self.cells)
        self.column.addLayout(head)
        self.column.addWidget(self.trained_on)
        self.column.addWidget(self.runs)
        self.column.addWidget(self.forced)
        self.column.addWidget(rule())
        self.column.addWidget(self.result)
        self.column.addWidget(rule())
        self.column.addWidget(label("Overlays", "heading"))
        self.column.addWidget(self.overlays)
        self.column.addStretch(1)
        self.follow(self._draw, self.session.state.events.bundle)

    def _draw(self) -> None:
        bundle = self.session.state.bundle
        if bundle is None:
            self.model.setText("No model is loaded.")
            self.intended_use.setText("")
            self.trained_on.setText("Choose a bundle to run the AI.")
            return
        card = bundle.card
        self.model.setText(f"{card.name} {card.version}")
        self.model.setToolTip(f"sha256 {bundle.sha256}")
        # the first clause stands in the dock, the whole of it in the tooltip
        gist = card.trained_on.partition(";")[0]
        self.intended_use.setText(card.intended_use)
        self.trained_on.setText(f"Trained on {gist}")
        self.trained_on.setToolTip(f"Trained on {card.trained_on}.")

    def _on_choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model bundle")
        if folder:
            with noticed(self.session):
                self.session.choose_bundle(Path(folder))
