"""The reader's landmarks, how far each lies off, and fitting to them."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QTreeWidget, QTreeWidgetItem, QVBoxLayout

from napari_her2.viewer.desk import Desk
from napari_her2.viewer.landmark_tool import Awaited
from napari_her2.viewer.notices import noticed
from napari_her2.widgets.panel import Listener
from napari_her2.widgets.style import button, enable, label

LEAST = 3
ROWS_SHOWN = 3


class LandmarkList(Listener):
    """A row per pair of places; the error is there at once."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.hint = label(look="caution", wrap=True)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(("Landmark", "Off by"))
        self.tree.setRootIsDecorated(False)
        self.tree.setFixedHeight(26 + 22 * ROWS_SHOWN)
        self.add = button("Add landmark", tip="Click the same place on both slides")
        self.add.setCheckable(True)
        self.remove = button("Remove", tip="Take the selected landmark away")
        self.fit = button("Fit", tip="Register by the landmarks")
        self.add.clicked.connect(self._on_add)
        self.remove.clicked.connect(self._on_remove)
        self.fit.clicked.connect(self._on_fit)
        row = QHBoxLayout()
        row.addWidget(self.add, 2)
        row.addWidget(self.remove, 1)
        row.addWidget(self.fit, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        layout.addWidget(self.tree)
        self.tree.itemSelectionChanged.connect(self._draw_buttons)
        events = self.session.state.events
        self.follow(self._draw, events.landmarks, events.versions, events.pair)
        self.follow(self._draw_hint, desk.landmarks.awaited_changed)

    def _draw(self) -> None:
        distances = self.session.pairing.landmark_distances_um()
        self.tree.clear()
        for number, distance_um in enumerate(distances, 1):
            self.tree.addTopLevelItem(
                QTreeWidgetItem([str(number), f"{distance_um:.3g} µm"])
            )
        self.tree.setVisible(bool(distances))
        self._draw_buttons()

    def _draw_buttons(self) -> None:
        count = len(self.session.state.landmarks)
        missing = LEAST - count
        refusal = f"{missing} more landmarks are needed." if missing > 0 else None
        enable(self.fit, refusal, f"Register by {count} landmarks")
        self.remove.setEnabled(self.tree.currentItem() is not None)

    def _draw_hint(self) -> None:
        awaited = self.desk.landmarks.awaited
        self.hint.setText(str(awaited))
        self.hint.setVisible(awaited is not Awaited.NOTHING)
        self.add.setChecked(awaited is not Awaited.NOTHING)

    def _on_add(self, on: bool) -> None:
        if on:
            self.desk.landmarks.start()
        else:
            self.desk.landmarks.stop()

    def _on_remove(self) -> None:
        index = self.tree.indexOfTopLevelItem(self.tree.currentItem())
        if index >= 0:
            self.session.pairing.remove_landmark(index)

    def _on_fit(self) -> None:
        with noticed(self.session):
            self.session.pairing.refine()
