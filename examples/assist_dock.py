"""The Assist dock alone: run the AI and see what it suggests."""

import napari
from napari.components import ViewerModel
from napari.qt import get_qapp

from napari_her2.app.resources import sample_case_path
from napari_her2.viewer.desk import desk_of
from napari_her2.widgets.assist_dock import AssistDock

app = get_qapp()
viewer = ViewerModel()
desk = desk_of(viewer)
dock = AssistDock(desk)
desk.load_demo_bundle()
desk.open_paths([sample_case_path()])
dock.show()
napari.run()
