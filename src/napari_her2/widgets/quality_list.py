"""The quality findings of the open slides: colour, words, share, mask, overrule."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_her2.core.score import Stain
from napari_her2.slides.quality.finding import Finding, QualityReport, Severity
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.palette import SEVERITY_COLORS
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.reason_menu import ReasonMenu
from napari_her2.widgets.style import button, label

REASONS = (
    "Region of interest is not affected",
    "Seen on the glass slide, readable",
    "Finding is wrong",
)
LOOKING = "Quality: being looked at…"
NOTHING = "Quality: nothing found"
_SHORT = {Stain.HE: "H&E", Stain.IHC: "IHC"}
_WORDS = {
    Severity.BLOCK: "Blocks the AI",
    Severity.WARN: "Look at it",
    Severity.NOTE: "Note",
}


class QualityList(Listener):
    """One row per finding, the gravest first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.summary = label(look="muted", wrap=True)
        self.rows: list[FindingRow] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 2, 0, 2)
        self._layout.setSpacing(4)
        self._layout.addWidget(self.summary)
        events = self.session.state.events
        self.follow(self._draw, events.quality, events.overruled, events.pair)
        self.follow(self._draw_masks, desk.quality_layers.changed)

    def _draw(self) -> None:
        for row in self.rows:
            self._layout.removeWidget(row)
            row.hide()
            row.deleteLater()
        state = self.session.state
        self.rows = [
            FindingRow(self.desk, report, finding)
            for report in state.quality
            for finding in report.findings
        ]
        for row in self.rows:
            self._layout.addWidget(row)
        self.setVisible(state.pair is not None)
        self.summary.setText(LOOKING if not state.quality else NOTHING)
        self.summary.setVisible(not self.rows)

    def _draw_masks(self) -> None:
        for row in self.rows:
            row.draw_mask()


class FindingRow(QWidget):
    """One finding of one slide."""

    def __init__(self, desk: Desk, report: QualityReport, finding: Finding) -> None:
        super().__init__()
        self._desk = desk
        self._report = report
        self._finding = finding
        is_overruled = desk.session.quality.is_overruled(report, finding)
        dot = label("●")
        color = SEVERITY_COLORS[finding.severity]
        dot.setStyleSheet(f"color: {color}; font-size: 14px;")
        dot.setToolTip(_WORDS[finding.severity])
        share = f"  {finding.share:.1%}" if finding.share else ""
        words = "Overruled" if is_overruled else _WORDS[finding.severity]
        title = f"{_SHORT[report.stain]}: {finding.kind}{share}"
        self.title = label(title, "strong")
        self.sentence = label(f"{words}: {finding.sentence}", "muted", wrap=True)
        self.mask = button("Show", tip="Show where it is, as a layer")
        self.mask.setCheckable(True)
        # never shown before it has a parent: it would be a window of its own
        if finding.mask is None:
            self.mask.hide()
        self.mask.clicked.connect(self._on_mask)
        self.overrule = ReasonMenu("Overrule…", REASONS)
        self.overrule.setToolTip("Let the AI run in spite of it; the reason is kept")
        if finding.severity is not Severity.BLOCK or is_overruled:
            self.overrule.hide()
        self.overrule.chosen.connect(self._on_overrule)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(dot)
        head.addWidget(self.title)
        head.addStretch(1)
        for widget in (self.mask, self.overrule):
            head.addWidget(widget, 0, Qt.AlignmentFlag.AlignRight)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addLayout(head)
        column.addWidget(self.sentence)
        self.draw_mask()

    def draw_mask(self) -> None:
        """Show whether the mask is among the layers."""
        is_shown = self._desk.quality_layers.is_shown(self._report, self._finding)
        self.mask.setChecked(is_shown)
        self.mask.setText("Hide" if is_shown else "Show")

    def _on_mask(self) -> None:
        with noticed(self._desk.session):
            self._desk.quality_layers.show(
                self._report, self._finding, on=self.mask.isChecked()
            )

    def _on_overrule(self, reason: str) -> None:
        with noticed(self._desk.session):
            self._desk.session.quality.overrule(
                self._report.stain, self._finding, reason
            )
