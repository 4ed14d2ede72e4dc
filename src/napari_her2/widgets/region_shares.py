"""The regions whose cells were read, side by side: how many, their shares, the call."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)
from superqt.utils import signals_blocked

from napari_her2.app.state import RegionReview
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.records import CellBasis
from napari_her2.core.score import NotAssessable
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.palette import PATTERN_COLORS
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.pattern_words import LONG, share_words

_ORDER = tuple(reversed(MembranePattern))
_LAST = len(_ORDER) + 2
_ROWS_SHOWN = 4
_ROW_PX, _HEAD_PX, _DOT_PX = 20, 24, 9
_ID = Qt.ItemDataRole.UserRole
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RegionShares(Listener):
    """A row per region that may be shown, from two on; a click selects the region."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.tree = QTreeWidget()
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setHeaderLabels(["Region", "Cells", *[""] * len(_ORDER), "Call"])
        head = self.tree.headerItem()
        for column, pattern in enumerate(_ORDER, start=2):
            head.setIcon(column, _dot(PATTERN_COLORS[pattern]))
            head.setToolTip(column, f"{LONG[pattern]}, % of the tumour cells")
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(26)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.currentItemChanged.connect(self._on_current)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.addWidget(self.tree)
        events = self.session.state.events
        self.follow(self._draw, events.reviewed, events.selected_id, events.regions)

    def _draw(self) -> None:
        with signals_blocked(self.tree):
            self.tree.clear()
            for row in self._rows():
                self._add(row)
        n_rows = self.tree.topLevelItemCount()
        self.setVisible(n_rows > 1)
        self.tree.setFixedHeight(_HEAD_PX + _ROW_PX * min(n_rows, _ROWS_SHOWN) + 6)

    def _rows(self) -> list[RegionReview]:
        """Return what was read in drawn regions, and in the view that is selected."""
        state = self.session.state
        drawn = {region.region_id for region in state.regions} | {state.selected_id}
        return [
            row
            for row in state.reviewed
            if row.by_cells is not None and row.region.region_id in drawn
        ]

    def _add(self, row: RegionReview) -> None:
        basis = None if row.by_cells is None else row.by_cells.cells
        if basis is None:
            return
        item = QTreeWidgetItem(_texts(row.region.name, basis))
        for column in range(1, _LAST + 1):
            item.setTextAlignment(column, _RIGHT)
        item.setToolTip(0, row.region.name)
        for column, pattern in enumerate(_ORDER, start=2):
            if basis.reading.n_cells:
                item.setToolTip(column, share_words(basis.reading.shares[pattern]))
        item.setToolTip(_LAST, basis.reading.rule)
        item.setData(0, _ID, row.region.region_id)
        self.tree.addTopLevelItem(item)
        if row.region.region_id == self.session.state.selected_id:
            self.tree.setCurrentItem(item)

    def _on_current(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            with noticed(self.session):
                self.session.select(item.data(0, _ID))


def _texts(name: str, basis: CellBasis) -> list[str]:
    shares = [basis.reading.shares[pattern].value for pattern in _ORDER]
    figures = ["–" if math.isnan(share) else f"{100 * share:.0f}" for share in shares]
    call = basis.reading.call
    told = "n/a" if isinstance(call, NotAssessable) else str(call)
    return [name, f"{basis.reading.n_cells:,}", *figures, told]


def _dot(color: str) -> QIcon:
    picture = QPixmap(_DOT_PX, _DOT_PX)
    picture.fill(QColor(color))
    return QIcon(picture)
