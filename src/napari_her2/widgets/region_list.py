"""The regions under review and how far each is."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)
from superqt.utils import signals_blocked

from napari_her2.app.state import RegionReview
from napari_her2.core.records import Reader
from napari_her2.core.region import Region
from napari_her2.core.score import Call, Score
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.panel import Listener

COLUMNS = ("Region", "First read", "AI", "Decision")
ROWS_SHOWN = 3
ID_ROLE = Qt.ItemDataRole.UserRole


class RegionList(Listener):
    """A row per region; one click selects it, two bring it into view."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(COLUMNS)
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.tree.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.tree.setFixedHeight(26 + 22 * ROWS_SHOWN)
        self.tree.currentItemChanged.connect(self._on_current)
        self.tree.itemDoubleClicked.connect(self._on_double_click)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        events = self.session.state.events
        self.follow(
            self._draw,
            events.reviewed,
            events.regions,
            events.selected_id,
            events.reader_name,
        )

    def _draw(self) -> None:
        with signals_blocked(self.tree):
            self._fill()

    def _fill(self) -> None:
        self.tree.clear()
        for region, row in self._rows():
            texts = _texts(region, row, self.session.state.reader)
            item = QTreeWidgetItem(list(texts))
            for column, text in enumerate(texts):
                item.setToolTip(column, text)
            item.setData(0, ID_ROLE, region.region_id)
            self.tree.addTopLevelItem(item)
            if region.region_id == self.session.state.selected_id:
                self.tree.setCurrentItem(item)

    def _rows(self) -> list[tuple[Region, RegionReview | None]]:
        state = self.session.state
        rows = {row.region.region_id: row for row in state.reviewed}
        drawn = [(region, rows.pop(region.region_id, None)) for region in state.regions]
        return [*drawn, *((row.region, row) for row in rows.values())]

    def _on_current(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            with noticed(self.session):
                self.session.select(item.data(0, ID_ROLE))

    def _on_double_click(self, item: QTreeWidgetItem) -> None:
        for region, _ in self._rows():
            if region.region_id == item.data(0, ID_ROLE):
                self.desk.stage.look_at(region)


def _texts(
    region: Region, row: RegionReview | None, reader: Reader | None
) -> tuple[str, str, str, str]:
    if row is None:
        return region.name, "–", "–", "–"
    own = None if reader is None else row.record.first_read_of(reader)
    if row.suggestion_hidden:
        suggested = "hidden"
    else:
        suggested = _short(None if row.suggestion is None else row.suggestion.call)
        if row.by_cells is not None:
            suggested = f"{suggested} cells"
    decision = row.record.decision
    if decision is not None:
        decided = f"{_short(decision.call)} ({decision.kind})"
    else:
        decided = "deferred" if row.record.deferral is not None else "pending"
    return region.name, _short(own), suggested, decided


def _short(call: Call | None) -> str:
    if call is None:
        return "–"
    return str(call) if isinstance(call, Score) else "n/a"
