"""The Compare dock alone: real and synthetic IHC side by side."""

import napari
from napari.components import ViewerModel
from napari.qt import get_qapp

from napari_her2.app.resources import sample_case_path
from napari_her2.viewer.desk import desk_of
from napari_her2.widgets.compare_dock import CompareDock

app = get_qapp()
viewer = ViewerModel()
desk = desk_of(viewer)
dock = CompareDock(desk)
desk.load_demo_bundle()
desk.open_paths([sample_case_path()])
dock.show()
napari.run()
