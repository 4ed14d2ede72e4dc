"""Where the slides lie apart no result of both stains is made."""

from dataclasses import replace

import pytest
from inference_fakes import FakeNetwork, bundle_of, pair_of, speckled

from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import RegionDone, RunStarted
from napari_her2.core.records import Evidence, LeftOut
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits, RegistrationError
from napari_her2.inference.engine import run
from napari_her2.inference.result import TileState
from napari_her2.inference.store import open_store

# tiles of 64 px lie 32 µm apart, as the cells do
CELLS = tuple(
    ErrorCell(row, col, 1.0, 150.0 if (row, col) == (0, 1) else 3.0)
    for row in range(4)
    for col in range(4)
)
ERROR = RegistrationError(3.0, 9.0, 90, 100, 3.0, ErrorMap((0.0, 0.0), 32.0, CELLS))
WHOLE = BoxPx(0, 0, 256, 256)


@pytest.fixture
def runs(slide, tmp_path):
    """Run boxes on two slides whose registration has a map."""
    pair = pair_of(
        slide("he.tif", speckled((256, 256), 1)),
        slide("ihc.tif", speckled((256, 256), 2)),
    )
    pair = replace(pair, registration=replace(pair.registration, error=ERROR))

    def runs(*boxes, inputs=("he", "ihc"), pair=pair, **options):
        bundle = bundle_of(tmp_path, inputs=inputs)
        store = open_store(pair, bundle, root=tmp_path / "cache")
        regions = [Region.from_box(str(i), "Box", box) for i, box in enumerate(boxes)]
        network = FakeNetwork()
        events = list(run(pair, network, bundle, regions, store, **options))
        found = [e.suggestion for e in events if isinstance(e, RegionDone)]
        return events[0], found, store, pair

    return runs


def test_a_tile_where_the_slides_lie_apart_is_not_read(runs):
    started, (whole, beside), store, _ = runs(WHOLE, BoxPx(128, 0, 256, 256))
    assert started == RunStarted(n_tiles=15, n_cached=0, n_background=0)
    assert store.state[0, 1] == TileState.MISSING
    assert whole.n_tiles == 15
    assert whole.evidence is Evidence.BOTH
    assert whole.left_out == LeftOut(1 / 16, 1, 100.0)
    assert whole.caution == (
        "6 % of the tissue left out: H&E and IHC lie more than 100 µm apart there"
    )
    assert beside.left_out is None
    assert beside.caution == ""


def test_the_limit_is_that_of_the_reader(runs):
    started, (whole,), _, _ = runs(WHOLE, limits=ErrorLimits(25.0, 200.0))
    assert started.n_tiles == 16
    assert whole.left_out is None


def test_one_stain_alone_does_not_lie_apart(runs):
    started, (whole,), _, pair = runs(WHOLE, inputs=("ihc",))
    assert (started.n_tiles, whole.left_out) == (16, None)
    started, (whole,), _, _ = runs(WHOLE, pair=replace(pair, ihc=None))
    assert (started.n_tiles, whole.left_out) == (16, None)
