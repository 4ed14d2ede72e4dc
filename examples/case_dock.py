"""The Case dock alone: what is open, at which scale."""

import napari
from napari.components import ViewerModel
from napari.qt import get_qapp

from napari_her2.app.resources import sample_case_path
from napari_her2.viewer.desk import desk_of
from napari_her2.widgets.case_dock import CaseDock

app = get_qapp()
viewer = ViewerModel()
desk = desk_of(viewer)
dock = CaseDock(desk)
desk.load_demo_bundle()
desk.open_paths([sample_case_path()])
dock.show()
napari.run()
