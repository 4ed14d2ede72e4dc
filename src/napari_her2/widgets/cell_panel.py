"""The score read from the cells of the real IHC slide, and what it rests on."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_her2.app.control_use import ControlUse
from napari_her2.app.state import RegionReview
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.records import CellBasis
from napari_her2.core.score import NotAssessable
from napari_her2.viewer.cell_map import Mapped
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.roles import Role
from napari_her2.widgets.call_head import CallHead
from napari_her2.widgets.cell_gallery import CellGallery
from napari_her2.widgets.control_marks import NO_READER
from napari_her2.widgets.legend import Legend
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.pattern_bars import PatternBars
from napari_her2.widgets.pattern_words import (
    SILENT,
    advice_lines,
    count_line,
    meaning_line,
)
from napari_her2.widgets.region_shares import RegionShares
from napari_her2.widgets.style import button, enable, fill, label

NOTHING = "Score the real IHC by its cells: no model is needed."
READ_AGAIN = "Read the cells again to see them on the slide."
USE_TIP = (
    "On: how dense the membranes of the marked 3+ are sets the thresholds of density, "
    "and the 0 must be unstained. A convention of this program; kept in the journal."
)
MAP_TIP = (
    "Percent of the tumour cells in squares of 100 µm; clear where fewer than 10 "
    "of them lie"
)
LEGEND_PX = 140


class CellPanel(Listener):
    """Reads cells; shows call, sentence, shares, advice and the cells behind it.

    What is shown is the suggestion of the selected region, also where its cells were
    read on another day. Not there for a case without an IHC slide.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.read = button("Read IHC cells", is_primary=True)
        self.read.clicked.connect(desk.read_cells)
        self.message = label(NOTHING, "muted", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 100)
        self.status = label(look="muted")
        self.cancel = button("Cancel", tip="Stop; no call is made then")
        self.cancel.clicked.connect(self._on_cancel)
        self.meaning = label(wrap=True)
        self.convention = label(SILENT, "caution", wrap=True)
        self.head = CallHead(self.meaning, self.convention)
        self.bars = PatternBars()
        self.bars.toggled.connect(self._on_toggled)
        self.count = label(look="muted", wrap=True)
        self.use_controls = QCheckBox("Thresholds by the marked control tissue")
        self.use_controls.clicked.connect(self._on_use_controls)
        self.controls = label(look="muted", wrap=True)
        self.stale = label(look="caution", wrap=True)
        self.advice = label(wrap=True)
        self.network = label(look="muted", wrap=True)
        self.map = QComboBox()
        for mapped in Mapped:
            self.map.addItem(str(mapped), mapped)
        narrow = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.map.setSizeAdjustPolicy(narrow)
        self.map.currentIndexChanged.connect(self._on_map)
        self.legend = Legend(Role.CELL_MAP, LEGEND_PX)
        for widget in (self.map, self.legend):
            widget.setToolTip(MAP_TIP)
        self.gallery = CellGallery(desk)
        self.read_again = label(READ_AGAIN, "muted", wrap=True)
        self.regions = RegionShares(desk)
        self._open = QWidget()
        self._lay_out()
        events = self.session.state.events
        self.follow(
            self._draw,
            events.cells,
            events.cell_work,
            events.reviewed,
            events.selected_id,
            events.reader_name,
            events.first_read_required,
            desk.cell_layers.changed,
        )
        self.follow(self._draw, events.controls, events.use_controls)
        self.follow(self._draw_map, desk.cell_map.changed)
        self.follow(
            self._draw_button,
            events.pair,
            events.view_px,
            events.selected_id,
            events.regions,
            events.quality,
            events.overruled,
            events.cell_work,
        )

    def _lay_out(self) -> None:
        title, progress = QHBoxLayout(), QHBoxLayout()
        title.addWidget(label("Real IHC, cell by cell", "heading"), 1)
        title.addWidget(self.read)
        progress.addWidget(self.status, 1)
        progress.addWidget(self.cancel)
        inner = QVBoxLayout(self._open)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        inner.addWidget(self.head)
        mapping = QHBoxLayout()
        mapping.addWidget(self.map, 1)
        mapping.addWidget(self.legend)
        inner.addWidget(self.bars)
        inner.addWidget(self.count)
        inner.addWidget(self.controls)
        inner.addWidget(self.stale)
        inner.addLayout(mapping)
        for widget in (
            self.gallery,
            self.read_again,
            self.advice,
            self.network,
        ):
            inner.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(4)
        layout.addLayout(title)
        layout.addWidget(self.bar)
        layout.addLayout(progress)
        layout.addWidget(self.use_controls)
        layout.addWidget(self.message)
        layout.addWidget(self._open)
        layout.addWidget(self.regions)

    def _draw_button(self) -> None:
        pair = self.session.state.pair
        self.setVisible(pair is not None and pair.ihc is not None)
        target = self.session.cells.target
        where = "what is in view" if target is None else _where(target.name)
        tip = f"Find and score the tumour cells of {where}"
        enable(self.read, self.session.cells.why_not(), tip)

    def _draw(self) -> None:
        work, row = self.session.state.cell_work, self.session.state.selected
        is_working = bool(work.doing)
        for widget in (self.bar, self.status, self.cancel):
            widget.setVisible(is_working)
        self.bar.setValue(round(100 * work.share))
        self.status.setText(f"{work.doing}…")
        if not is_working:
            self.cancel.setEnabled(True)
            self.cancel.setText("Cancel")
        basis = None
        if row is not None and row.by_cells is not None:
            basis = row.by_cells.cells
        use = ControlUse.of(self.session.state)
        self.use_controls.setVisible(bool(use.marks))
        self.use_controls.setChecked(use.is_on)
        is_named = self.session.state.reader is not None
        enable(self.use_controls, None if is_named else NO_READER, USE_TIP)
        self.message.setVisible(basis is None and not is_working)
        self.message.setText(self._why_empty(row))
        self._open.setVisible(basis is not None)
        if row is not None and basis is not None:
            self._show(row, basis)

    def _why_empty(self, row: RegionReview | None) -> str:
        if row is None or row.record.by_cells is None:
            return NOTHING
        why = self.session.reading.why_hidden(row.region.region_id)
        return f"Cells are read. {why}"

    def _show(self, row: RegionReview, basis: CellBasis) -> None:
        reading = basis.reading
        is_scored = not isinstance(reading.call, NotAssessable)
        self.head.show_call(reading.call)
        self.meaning.setText(meaning_line(basis))
        self.convention.setVisible(is_scored and reading.is_convention)
        self.bars.show_shares(reading.shares, self.desk.cell_layers.patterns)
        self.count.setText(count_line(basis))
        fill(self.controls, basis.controls)
        stale = ""
        if row.by_cells is not None and not row.record.is_closed:
            stale = self.session.cells.why_stale(row.by_cells)
        fill(self.stale, stale)
        fill(self.advice, advice_lines(basis))
        read = self.desk.cell_layers.read
        is_there = read is not None and read.region.region_id == row.region.region_id
        for widget in (self.gallery, self.map, self.legend):
            widget.setVisible(is_there)
        self._draw_map()
        self.read_again.setVisible(not is_there)
        said = "" if row.by_network is None else str(row.by_network.call)
        fill(self.network, said and f"The network says {said}; the real IHC leads.")

    def _draw_map(self) -> None:
        mapped = self.desk.cell_map.mapped
        self.map.setCurrentIndex(self.map.findData(mapped))
        self.legend.setEnabled(mapped is not Mapped.NOTHING)

    def _on_map(self) -> None:
        if self.map.currentData() != self.desk.cell_map.mapped:
            self.desk.cell_map.show(self.map.currentData())

    def _on_toggled(self, pattern: MembranePattern) -> None:
        layers = self.desk.cell_layers
        layers.filter(layers.patterns ^ {pattern})

    def _on_use_controls(self, is_used: bool) -> None:
        with noticed(self.session):
            self.session.quality.use_controls(is_used)

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.cancel.setText("Cancelling…")
        self.desk.cell_reader.cancel()


def _where(name: str) -> str:
    return "what is in view" if name == "View" else name
