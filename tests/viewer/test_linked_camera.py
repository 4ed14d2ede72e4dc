import numpy as np
from napari.components import ViewerModel

from napari_her2.viewer.linked_camera import LinkedCameras
from napari_her2.viewer.roles import Role, tag
from napari_her2.viewer.twin import Twin


def cameras(count=3):
    return [ViewerModel().scene.camera for _ in range(count)]


def state(camera):
    return camera.center, camera.zoom


def test_whichever_camera_moves_the_others_follow():
    three = cameras()
    link = LinkedCameras(three)
    for moved, center, zoom in ((0, (0, 5, 6), 2.0), (2, (0, 50, 60), 0.5)):
        three[moved].center = center
        three[moved].zoom = zoom
        assert {state(camera) for camera in three} == {(center, zoom)}
    link.close()


def test_a_closed_link_lets_go():
    three = cameras()
    link = LinkedCameras(three)
    link.close()
    three[0].zoom = 7
    assert three[1].zoom != 7


def test_a_layer_that_arrives_in_a_twin_does_not_move_the_view():
    main = ViewerModel()
    twin = Twin(main, Role.IHC)
    link = LinkedCameras([main.scene.camera, twin.model.scene.camera])
    main.add_image(np.zeros((50, 60, 3), np.uint8), rgb=True)
    main.scene.camera.center, main.scene.camera.zoom = (0, 7, 8), 3.0
    main.add_image(
        np.zeros((500, 600, 3), np.uint8), rgb=True, metadata=tag(Role.IHC, "c")
    )
    assert not twin.is_empty
    assert state(main.scene.camera) == ((0, 7, 8), 3.0)
    assert state(twin.model.scene.camera) == ((0, 7, 8), 3.0)
    assert twin.model.layers[0] is not main.layers[1], "two layers over one array"
    assert twin.model.layers[0].data is main.layers[1].data
    link.close()
    twin.close()
    assert twin.is_empty
