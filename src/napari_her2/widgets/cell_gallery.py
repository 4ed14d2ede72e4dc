"""Pictures of the cells behind a call: click to fly there, then agree or correct."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QMenu, QToolButton, QVBoxLayout

from napari_her2.app.cells_read import CellsRead
from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.membrane import MembranePattern
from napari_her2.viewer.cell_outlines import THUMBNAIL_PX
from napari_her2.viewer.cell_pictures import Picture, Place
from napari_her2.viewer.desk import Desk
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.palette import PATTERN_COLORS
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.pattern_words import LONG, cell_line
from napari_her2.widgets.style import button, label

PER_ROW = 4
_SELECTED = "#eef0f3"
NOBODY = "Click a cell here or on the slide to agree or to correct it."


class CellGallery(Listener):
    """Thumbnails in groups, and what can be said of the one that is selected."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.cells: list[CellThumbnail] = []
        self._titles: list[Any] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self._grid.setColumnStretch(PER_ROW, 1)
        self.selected = label(NOBODY, "muted", wrap=True)
        self.agree = button("Agree", tip="The cell is what it was read as")
        self.correct = button("It is…", tip="Say what the cell is")
        self.reject = button("Not tumour", tip="Leave the cell out of the count")
        self.undo = button("Undo", tip="Take back your last word on a cell")
        menu = QMenu(self.correct)
        for pattern in reversed(MembranePattern):
            menu.addAction(LONG[pattern]).setData(CellVerdict.of(pattern))
        self.correct.setMenu(menu)
        menu.triggered.connect(self._on_corrected)
        self.agree.clicked.connect(self._on_agreed)
        self.reject.clicked.connect(self._on_rejected)
        self.undo.clicked.connect(self._on_undo)
        self._lay_out()
        events = self.session.state.events
        self.follow(
            self._draw,
            events.cells,
            events.reviewed,
            events.reader_name,
            events.first_read_required,
        )
        self.follow(self._draw_selected, desk.cell_layers.changed)
        self.follow(self._draw_pictures, desk.cell_pictures.arrived)

    def _lay_out(self) -> None:
        acts = QHBoxLayout()
        for widget in (self.agree, self.correct, self.reject, self.undo):
            acts.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._grid)
        layout.addWidget(self.selected)
        layout.addLayout(acts)

    def _draw(self) -> None:
        # imported late: a window opens before anybody reads cells
        from napari_her2.cells.behind import cells_behind

        for widget in (*self.cells, *self._titles):
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.cells, self._titles = [], []
        read = self.desk.cell_layers.read
        if read is None:
            return
        line = 0
        for group in cells_behind(read.cells, read.call.reading):
            title = label(group.title, "muted")
            self._titles.append(title)
            self._grid.addWidget(title, line, 0, 1, PER_ROW + 1)
            for index, row in enumerate(group.rows):
                cell = CellThumbnail(row, read)
                cell.clicked.connect(self._on_clicked)
                self._grid.addWidget(cell, line + 1 + index // PER_ROW, index % PER_ROW)
                self.cells.append(cell)
            line += 1 + -(-len(group.rows) // PER_ROW)
        self._draw_selected()
        self._draw_pictures()
        self.desk.cell_pictures.want([cell.place for cell in self.cells])

    def _draw_pictures(self) -> None:
        for cell in self.cells:
            picture = self.desk.cell_pictures.get(cell.place)
            if picture is not None and cell.icon().isNull():
                cell.setIcon(QIcon(_pixmap(picture)))

    def _draw_selected(self) -> None:
        read, row = self.desk.cell_layers.read, self.desk.cell_layers.selected
        for cell in self.cells:
            cell.setChecked(cell.row == row)
        is_one = read is not None and row is not None
        for widget in (self.agree, self.correct, self.reject):
            widget.setEnabled(is_one)
        self.undo.setEnabled(self.session.cells.can_take_back)
        self.selected.setText(
            cell_line(read, row) if read is not None and row is not None else NOBODY
        )

    def _on_clicked(self) -> None:
        cell = self.sender()
        if isinstance(cell, CellThumbnail):
            self.desk.cell_layers.fly_to(cell.row)
            cell.setChecked(True)  # a second click is no other choice

    def _judge(self, verdict: CellVerdict | None) -> None:
        row = self.desk.cell_layers.selected
        if row is None:
            return
        with noticed(self.session):
            if verdict is None:
                self.session.cells.confirm(row)
            else:
                self.session.cells.judge(row, verdict)

    def _on_agreed(self) -> None:
        self._judge(None)

    def _on_rejected(self) -> None:
        self._judge(CellVerdict.NOT_TUMOUR)

    def _on_corrected(self, action: Any) -> None:
        self._judge(CellVerdict(action.data()))

    def _on_undo(self) -> None:
        with noticed(self.session):
            self.session.cells.take_back()


class CellThumbnail(QToolButton):
    """One cell, framed in the colour of its pattern; its picture comes later."""

    def __init__(self, row: int, read: CellsRead) -> None:
        super().__init__()
        self.row = row
        cells = read.cells
        self.place: Place = (cells["y_px"][row].as_py(), cells["x_px"][row].as_py())
        self.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        self.setFixedSize(THUMBNAIL_PX + 6, THUMBNAIL_PX + 6)
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        pattern = MembranePattern(read.cells["pattern"][row].as_py())
        style = "double" if read.judged[row] else "solid"
        color = PATTERN_COLORS[pattern]
        self.setStyleSheet(
            "QToolButton { padding: 0; background: transparent; border-radius: 2px; "
            f"border: 3px {style} {color}; }}"
            f"QToolButton:checked {{ border: 3px {style} {_SELECTED}; }}"
        )
        told = cell_line(read, row)
        self.setToolTip(f"{told}\nClick to fly there")
        self.setAccessibleName(told)


def _pixmap(picture: Picture) -> QPixmap:
    height, width, _ = picture.shape
    form = QImage.Format.Format_RGB888
    image = QImage(picture.tobytes(), width, height, 3 * width, form)
    return QPixmap.fromImage(image.copy())
