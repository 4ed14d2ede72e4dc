"""Open the docks where a reader expects them."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_her2.viewer.preferences import PLUGIN
from napari_her2.widgets.style import COLUMN_PX

AREAS = {"Case": "left", "Assist": "right", "Review": "right", "Compare": "bottom"}
COMPARE_PX = 300
REVIEW_SHARE = 0.55
HISTORY_PX = 36
"""Room for the dock's title and a second line of the decision's history."""


def open_workspace(viewer: Any) -> dict[str, QWidget]:
    """Open all docks of this package and return their contents by name.

    What is open (Case) stands below napari's layer list, what the AI says and
    what the reader decides (Assist, Review) form a column at the right, and the
    comparison lies below the slide. A place the user chose before is kept.
    """
    positions = get_settings().application.plugin_widget_positions
    docks: dict[str, QDockWidget] = {}
    contents: dict[str, QWidget] = {}
    for name, area in AREAS.items():
        positions.setdefault(f"{name} ({PLUGIN})", area)
        docks[name], contents[name] = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    window = docks["Assist"].window()
    if isinstance(window, QMainWindow):
        corners, areas = Qt.Corner, Qt.DockWidgetArea
        window.setCorner(corners.BottomRightCorner, areas.RightDockWidgetArea)
        window.setCorner(corners.BottomLeftCorner, areas.LeftDockWidgetArea)
        # sizes are taken only once Qt has laid the docks out
        QTimer.singleShot(0, partial(_give_sizes, window, docks, contents))
    return contents


def _give_sizes(
    window: QMainWindow, docks: dict[str, QDockWidget], contents: dict[str, QWidget]
) -> None:
    tall, wide = Qt.Orientation.Vertical, Qt.Orientation.Horizontal
    column = [docks["Assist"], docks["Review"]]
    # Review shows all it has where there is room, Assist takes the rest
    review = contents["Review"].sizeHint().height() + HISTORY_PX
    total = sum(dock.height() for dock in column)
    review = min(review, round(REVIEW_SHARE * total))
    window.resizeDocks(column, [total - review, review], tall)
    window.resizeDocks([docks["Compare"]], [COMPARE_PX], tall)
    window.resizeDocks(column[:1], [COLUMN_PX], wide)
