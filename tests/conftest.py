import os
from dataclasses import replace
from pathlib import Path

import pytest

# the tests' networks are so narrow that torch 2.13 crashes in backward on two threads
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle of real networks, untrained and narrow: tiles of 192 px."""
    import torch

    from napari_her2.models.bundle import Card, write_bundle
    from napari_her2.models.card import INTENDED_USE, NO_TUMOUR
    from napari_her2.models.config import DEMO
    from napari_her2.models.network import Her2Network

    config = replace(
        DEMO,
        generator_width=4,
        shared_widths=(4, 4, 8, 8, 8),
        specific_width_mult=0.25,
        feature_width=16,
        attention_width=4,
    )
    torch.manual_seed(1)
    network = Her2Network(config, core_px=64, halo_px=64, attention_scale=1.0)
    card = Card(
        name="tiny",
        version="1",
        trained_on="nothing",
        mpp=0.5,
        core_px=64,
        halo_px=64,
        inputs=("he", "ihc"),
        outputs=("synthetic_ihc", "logits"),
        classes=(NO_TUMOUR, "0", "0+", "1+", "2+", "3+"),
        files={},
        licence="BSD-3-Clause",
        intended_use=INTENDED_USE,
        parameters={"network": config.to_dict(), "attention_scale": 1.0},
        training_command="none",
        seed=1,
        scores={},
    )
    return write_bundle(
        tmp_path_factory.mktemp("bundles") / "tiny",
        card,
        {part: module.state_dict() for part, module in network.parts().items()},
    ).path


@pytest.fixture(scope="session")
def virtual_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of a small virtual pair, 2+, with its truth."""
    from napari_her2.core.score import Score
    from napari_her2.phantom.recipe import draw_recipe
    from napari_her2.phantom.writing import write_pair

    recipe = draw_recipe(3, stratum=Score.TWO, width_um=300.0, height_um=240.0)
    return write_pair(recipe, tmp_path_factory.mktemp("virtual") / "case")


@pytest.fixture
def nothing_is_familiar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every network find every tile twice as far away as it may be."""
    import torch

    from napari_her2.models.network import Her2Network

    def far(network, cores):
        (example, *_) = cores.values()
        return torch.full((len(example),), 2.0)

    monkeypatch.setattr(Her2Network, "_distance", far)


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point journal and cache into the test's folder."""
    monkeypatch.setenv("NAPARI_HER2_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.setenv("NAPARI_HER2_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def desk(qapp, own_folders: Path):
    """A desk at a viewer without a window, with an own journal and cache."""
    from napari.components import ViewerModel

    from napari_her2.app.session import Session
    from napari_her2.review.journal import Journal
    from napari_her2.viewer.desk import give_desk

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
def open_desk(desk, virtual_case: Path, tiny_bundle_path: Path):
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
    """Run a desk to the end in this thread and show the overlays."""
    from napari_her2.app.run_plan import RunTarget
    from napari_her2.app.status import RunPhase

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
def read_desk(open_desk):
    """A desk whose IHC cells are read, made up: 160 of known pattern on a grid."""
    import numpy as np

    from napari_her2.app.cells_read import CellsFound
    from napari_her2.cells.table import CELL_COLUMNS, cell_table
    from napari_her2.core.geometry import BoxPx
    from napari_her2.core.region import Region

    n = 160
    pattern = np.repeat([0, 1, 2, 3, 4], [64, 24, 24, 24, 24])
    columns = {name: np.zeros(n) for name in CELL_COLUMNS}
    columns["y_px"], columns["x_px"] = (
        100 + 20.0 * (np.arange(n) // 16),
        (100 + 20.0 * (np.arange(n) % 16)),
    )
    columns["is_tumour"] = np.ones(n, bool)
    columns["pattern"] = columns["intensity"] = pattern
    columns["completeness"] = np.linspace(0, 1, n)
    columns["outline_um"] = np.full((n, 36), 4.0)
    session = open_desk.session
    session.state.first_read_required = False
    region = Region.from_box("view-0-0-400-400", "View", BoxPx(0, 0, 400, 400))
    session.reading.take_up(region)
    mpp = session.state.pair.ihc.mpp
    session.cells.absorb(CellsFound(region, cell_table(**columns), mpp))
    open_desk.cell_layers.draw()
    return open_desk
