"""The Case dock: what is open, at which scale, and how the slides lie together."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import request_values
from qtpy.QtWidgets import QFileDialog, QHBoxLayout

from napari_her2.slides.case import MANIFEST_SUFFIX
from napari_her2.viewer.desk import Desk
from napari_her2.widgets.control_marks import ControlMarks
from napari_her2.widgets.notice_line import NoticeLine
from napari_her2.widgets.pairing_panel import PairingPanel
from napari_her2.widgets.panel import Panel
from napari_her2.widgets.quality_list import QualityList
from napari_her2.widgets.slide_rows import SlideRows
from napari_her2.widgets.style import button, label

HEIGHT_PX = 320


class CaseDock(Panel):
    """Opens and closes cases and shows their slides."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.setMinimumHeight(HEIGHT_PX)
        self.open_case = button("Open case…", tip=f"Choose a *{MANIFEST_SUFFIX} file")
        self.open_slides = button("Open slides…", tip="Choose an H&E, an IHC, or both")
        self.close_case = button("Close", tip="Close the slides; decisions are kept")
        self.open_case.clicked.connect(self._on_open_case)
        self.open_slides.clicked.connect(self._on_open_slides)
        self.close_case.clicked.connect(desk.close_case)
        buttons = QHBoxLayout()
        for widget in (self.open_case, self.open_slides, self.close_case):
            buttons.addWidget(widget)
        self.name = label(look="strong")
        self.stains = label(look="caution", wrap=True)
        self.notice = NoticeLine(desk)
        self.column.addLayout(buttons)
        self.column.addWidget(self.notice)
        self.column.addWidget(self.name)
        self.column.addWidget(SlideRows(desk))
        self.column.addWidget(self.stains)
        self.pairing = PairingPanel(desk)
        self.column.addWidget(self.pairing)
        self.column.addWidget(QualityList(desk))
        self.column.addWidget(ControlMarks(desk))
        self.column.addStretch(1)
        events = self.session.state.events
        self.follow(self._draw, events.case, events.pair)
        self.follow(self._draw_stains, events.stain_doubts)

    def _draw(self) -> None:
        state = self.session.state
        case = state.case
        self.name.setText("No case is open." if case is None else case.case_id)
        self.close_case.setEnabled(case is not None)

    def _draw_stains(self) -> None:
        doubts = self.session.state.stain_doubts
        self.stains.setText("\n".join(doubts))
        self.stains.setVisible(bool(doubts))

    def _on_open_case(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a case", "", f"HER2 case (*{MANIFEST_SUFFIX})"
        )
        if path:
            self.desk.open_paths([Path(path)])

    def _on_open_slides(self) -> None:
        values = request_values(
            title="Open slides",
            he={
                "annotation": Path,
                "label": "H&E slide",
                "options": {"nullable": True},
            },
            ihc={
                "annotation": Path,
                "label": "HER2 IHC slide",
                "options": {"nullable": True},
            },
            parent=self,
        )
        if values and any(values.values()):
            self.desk.open_slides(values["he"], values["ihc"])
