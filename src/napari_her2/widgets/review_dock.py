"""The Review dock: the named reader reads first, sees the AI, and decides."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit

from napari_her2.app.status import Notice
from napari_her2.core.records import RESEARCH_USE
from napari_her2.core.score import Call
from napari_her2.review.acts import Act
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.call_buttons import CallButtons
from napari_her2.widgets.decision_form import DecisionForm
from napari_her2.widgets.panel import Panel
from napari_her2.widgets.region_list import RegionList
from napari_her2.widgets.style import button, label, rule


class ReviewDock(Panel):
    """First read, reveal, decision, export."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.reader = QLineEdit()
        self.reader.setPlaceholderText("Your name")
        self.reader.editingFinished.connect(self._on_reader)
        self.export = button("Export…", tip="Write what was decided as CSV and JSON")
        self.export.clicked.connect(self._on_export)
        self.regions = RegionList(desk)
        self.first_read_title = label(look="heading")
        self.first_read = CallButtons("Not every region can be scored; say why")
        self.first_read.chosen.connect(self._on_first_read)
        self.decision = DecisionForm(desk)
        head = QHBoxLayout()
        head.addWidget(label("Reader", "strong"))
        head.addWidget(self.reader, 1)
        head.addWidget(self.export)
        self.column.addLayout(head)
        self.column.addWidget(self.regions)
        self.column.addWidget(self.first_read_title)
        self.column.addWidget(self.first_read)
        self.column.addWidget(rule())
        self.column.addWidget(self.decision)
        self.column.addStretch(1)
        self.footer.addWidget(label(RESEARCH_USE, "research"))
        events = self.session.state.events
        self.follow(self._draw_reader, events.reader_name)
        self.follow(self._draw_case, events.case)
        self.follow(
            self._draw_first_read,
            events.reviewed,
            events.selected_id,
            events.reader_name,
        )

    def _draw_reader(self) -> None:
        if self.reader.text() != self.session.state.reader_name:
            self.reader.setText(self.session.state.reader_name)

    def _draw_case(self) -> None:
        is_open = self.session.state.case is not None
        self.export.setEnabled(is_open)
        self.export.setToolTip(
            "Write what was decided as CSV and JSON"
            if is_open
            else "Open a case first."
        )

    def _draw_first_read(self) -> None:
        row = self.session.state.selected
        self.first_read_title.setText(
            "First read" if row is None else f"First read · {row.region.name}"
        )
        refusal = self.session.reading.refusal(Act.FIRST_READ)
        self.first_read.show_call(self.own_first_read, refusal)

    def _on_reader(self) -> None:
        self.session.state.reader_name = self.reader.text().strip()

    def _on_first_read(self, call: Call) -> None:
        with noticed(self.session):
            self.session.reading.first_read(call)

    def _on_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export to a folder")
        if folder:
            self.export_to(Path(folder))

    def export_to(self, folder: Path) -> None:
        """Write the decisions of this case into a folder and say what was written."""
        with noticed(self.session):
            written = self.session.reading.export(folder)
            names = ", ".join(path.name for path in written)
            self.session.state.notice = Notice(f"Exported: {names}")
