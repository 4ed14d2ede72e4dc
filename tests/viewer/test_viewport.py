import numpy as np
import pytest
from napari.components import ViewerModel

from napari_her2.core.geometry import BoxPx, BoxUm
from napari_her2.viewer.viewport import look_at, view_box_px, view_box_um


@pytest.fixture
def viewer():
    made = ViewerModel()
    made.canvas.size = (400, 600)
    made.scene.camera.center = (0, 1000, 2000)
    made.scene.camera.zoom = 2
    return made


def test_the_view_is_the_canvas_over_the_zoom(viewer):
    assert view_box_um(viewer) == BoxUm(900, 1850, 1100, 2150)


def test_pixels_follow_from_the_scale(viewer):
    assert view_box_px(viewer, 0.5) == BoxPx(1800, 3700, 2200, 4300)


def test_a_cell_of_the_grid_shows_a_fraction(viewer):
    for _ in range(2):
        viewer.add_image(np.zeros((4, 4)))
    viewer.scene.camera.center = (0, 1000, 2000)
    viewer.scene.camera.zoom = 2
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.shape = (1, 2)
    assert view_box_um(viewer) == BoxUm(900, 1925, 1100, 2075)


def test_looking_at_a_box_shows_all_of_it(viewer):
    box = BoxUm(10, 20, 110, 60)
    look_at(viewer, box)
    seen = view_box_um(viewer)
    assert seen.y0 <= box.y0
    assert seen.y1 >= box.y1
    assert seen.x0 <= box.x0
    assert seen.x1 >= box.x1
    assert viewer.scene.camera.center[-2:] == (60, 40)
