"""The regions under review and how far each is."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
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
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.panel import Listener

COLUMNS = ("Region", "First read", "AI", "Decision")
HINT = "F2 or a right click: another name; a right click: exclude its cells"
ROWS_SHOWN = 3
ID_ROLE = Qt.ItemDataRole.UserRole


class RegionList(Listener):
    """A row per region; one click selects it, two bring it into view.

    A right click offers another name, and to leave out what lies in a region.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._renamed = ("", "")
        self._rename_timer = later(self._rename, 0)
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
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.tree.itemChanged.connect(self._on_edited)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._on_menu)
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
            if region in self.session.state.regions:
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setToolTip(0, f"{region.name}\n{HINT}")
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

    def _on_edited(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0:  # the rows are drawn anew, and the editor is still open
            self._renamed = item.data(0, ID_ROLE), item.text(0)
            soon(self._rename_timer)

    def _rename(self) -> None:
        with noticed(self.session):
            self.session.rename(*self._renamed)
        self._draw()

    def _on_menu(self, place: QPoint) -> None:
        item = self.tree.itemAt(place)
        if item is not None and (menu := self.menu_of(item)) is not None:
            menu.exec(self.tree.viewport().mapToGlobal(place))

    def menu_of(self, item: QTreeWidgetItem) -> QMenu | None:
        """Return what can be done with a row, None for a view that nobody drew."""
        region_id = item.data(0, ID_ROLE)
        drawn = {region.region_id: region for region in self.session.state.regions}
        if region_id not in drawn:
            return None
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        rename = menu.addAction("Rename")
        rename.triggered.connect(partial(self.tree.editItem, item, 0))
        is_on = not drawn[region_id].is_excluded
        exclude = menu.addAction("Exclude its cells" if is_on else "Count its cells")
        exclude.triggered.connect(partial(self._exclude, region_id, on=is_on))
        return menu

    def _exclude(self, region_id: str, _checked: bool = False, *, on: bool) -> None:
        with noticed(self.session):
            self.session.exclude(region_id, on=on)

    def _on_double_click(self, item: QTreeWidgetItem) -> None:
        for region, _ in self._rows():
            if region.region_id == item.data(0, ID_ROLE):
                self.desk.stage.look_at(region)


def _texts(
    region: Region, row: RegionReview | None, reader: Reader | None
) -> tuple[str, str, str, str]:
    if region.is_excluded:
        return region.name, "–", "excluded", "–"
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
