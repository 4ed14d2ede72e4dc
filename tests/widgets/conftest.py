import numpy as np
import pytest
from napari.components import ViewerModel

from napari_her2.app.run_plan import RunTarget
from napari_her2.app.session import Session
from napari_her2.app.status import RunPhase
from napari_her2.review.journal import Journal
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.viewer.desk import give_desk


@pytest.fixture
def desk(qapp, own_folders):
    """A desk at a viewer without a window, with an own journal and cache."""
    viewer = ViewerModel()
    viewer.canvas.size = (600, 800)
    with Journal() as journal:
        session = Session(journal, cache_dir=own_folders / "cache")
        session.state.reader_name = "Dr Demo"
        made = give_desk(viewer, session)
        made.keeps_viewer = viewer  # a desk holds its viewer weakly
        yield made
        made.close_case()


@pytest.fixture
def open_desk(desk, virtual_case, tiny_bundle_path):
    """The same with a virtual pair and a small real bundle."""
    desk.session.choose_bundle(tiny_bundle_path)
    desk.open_paths([virtual_case])
    assert desk.session.state.notice is None
    # a few tiles in view keep a run short
    desk.viewer.scene.camera.center = (0, 100, 120)
    desk.viewer.scene.camera.zoom = 12
    desk.stage.follow_view()
    return desk


@pytest.fixture
def run():
    """Run to the end in this thread and show the overlays."""

    def run_to_end(desk, target=RunTarget.VIEW, n_tiles=None):
        for index, progress in enumerate(
            desk.session.begin_run(desk.session.plan(target))
        ):
            desk.session.absorb(progress)
            if n_tiles is not None and index >= n_tiles:
                desk.session.end_run(RunPhase.CANCELLED)
                break
        desk.session.end_run(RunPhase.FINISHED)
        desk.stage.refresh_overlays()

    return run_to_end


@pytest.fixture
def scaleless_slide(tmp_path):
    """A small H&E-coloured slide that does not know its µm per pixel."""
    rng = np.random.default_rng(0)
    image = rng.normal((200, 120, 180), 12, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    path = tmp_path / "he.tif"
    write_pyramid(
        path, (300, 400), None, lambda box: image[box.y0 : box.y1, box.x0 : box.x1]
    )
    return path
