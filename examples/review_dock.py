"""The Review dock alone: read first, reveal, decide."""

import napari
from napari.components import ViewerModel
from napari.qt import get_qapp

from napari_her2.app.resources import sample_case_path
from napari_her2.viewer.desk import desk_of
from napari_her2.widgets.review_dock import ReviewDock

app = get_qapp()
viewer = ViewerModel()
desk = desk_of(viewer)
dock = ReviewDock(desk)
desk.load_demo_bundle()
desk.open_paths([sample_case_path()])
dock.show()
napari.run()
