import threading

import numpy as np
import pytest
from inference_fakes import (
    MPP,
    FakeNetwork,
    bundle_of,
    pair_of,
    speckled,
)

from napari_her2.core.errors import BundleError, NotReadyError, UsageError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.progress import RegionDone, RunStarted, TileDone
from napari_her2.core.records import Arm, Evidence
from napari_her2.core.region import Region
from napari_her2.core.registration import Registration
from napari_her2.core.transform import Transform, Warp
from napari_her2.inference.engine import run
from napari_her2.inference.reading import TileReader
from napari_her2.inference.result import TileState
from napari_her2.inference.store import open_store
from napari_her2.models.calibration import Calibration
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.tissue import TissueMask


def boxed(*box, name="view"):
    return Region.from_box(name, name, BoxPx(*box))


def tiles_done(events, *, cached=False):
    return [
        (e.row, e.col) for e in events if isinstance(e, TileDone) and e.cached is cached
    ]


@pytest.fixture
def start(he_pair, bundle, tmp_path):
    """Run boxes on the speckled slide with a store of this test."""

    def start(*regions, network=None, cache="cache", **options):
        store = open_store(he_pair, bundle, root=tmp_path / cache)
        network = network or FakeNetwork()
        return run(he_pair, network, bundle, regions, store, **options), store

    return start


def test_progress_tells_the_whole_story(start):
    events, store = start(boxed(0, 0, 130, 130))
    events = list(events)
    assert events[0] == RunStarted(n_tiles=9, n_cached=0, n_background=0)
    assert [e.n_done for e in events[1:-1]] == list(range(1, 10))
    assert events[1].box_px == BoxPx(64, 64, 128, 128)
    assert isinstance(events[-1], RegionDone)
    assert events[-1].suggestion.evidence is Evidence.HE_ONLY
    assert (store.state == TileState.HE_ONLY).sum() == 9


def test_nearest_tile_comes_first(start):
    events, store = start(boxed(0, 0, 500, 620), near_yx_px=(100.0, 500.0))
    order = tiles_done(events)
    far = [
        np.hypot(*np.subtract(store.grid.core_box_px(*tile).center, (100, 500)))
        for tile in order
    ]
    assert far == sorted(far)
    assert order[0] == (1, 7)


def test_a_region_is_bit_identical_in_two_viewports(start):
    one, first = start(boxed(0, 0, 300, 400), cache="one")
    other, second = start(boxed(129, 130, 500, 620), cache="other")
    list(one), list(other)
    common = (slice(129, 300), slice(130, 400))
    for level, (a, b) in enumerate(
        zip(first.synthetic_levels, second.synthetic_levels, strict=True)
    ):
        # tiles that both have, at this level
        part = slice(192 >> level, 256 >> level), slice(192 >> level, 384 >> level)
        assert a[part][..., 3].all()
        np.testing.assert_array_equal(a[part], b[part])
    whole = first.synthetic_levels[0][common]
    np.testing.assert_array_equal(whole, second.synthetic_levels[0][common])
    for name in ("probabilities", "channel_weights", "branch_share"):
        np.testing.assert_array_equal(
            first.map(name)[3:4, 3:6], second.map(name)[3:4, 3:6]
        )


def test_a_view_shifted_by_half_computes_only_the_new_tiles(start):
    network = FakeNetwork()
    list(start(boxed(0, 0, 256, 256), network=network)[0])
    assert network.n_tiles == 16
    events = list(start(boxed(0, 128, 256, 384), network=network)[0])
    assert network.n_tiles == 16 + 8
    assert events[0].n_cached == 8
    cached, new = tiles_done(events, cached=True), tiles_done(events)
    assert sorted(cached + new) == [(r, c) for r in range(4) for c in range(2, 6)]
    assert [e.cached for e in events[1:-1]] == [True] * 8 + [False] * 8


def test_cancel_keeps_finished_tiles_and_a_new_run_goes_on(start):
    network = FakeNetwork()
    before = threading.active_count()
    events, store = start(boxed(0, 0, 300, 300), network=network)
    seen = [next(events) for _ in range(6)]
    events.close()
    assert threading.active_count() == before
    done = {tuple(tile) for tile in np.argwhere(store.state).tolist()}
    assert done >= set(tiles_done(seen))
    assert network.n_tiles == len(done) < 25
    rest = list(start(boxed(0, 0, 300, 300), network=network)[0])
    assert rest[0].n_cached == len(done)
    assert network.n_tiles == 25
    assert isinstance(rest[-1], RegionDone)


def test_background_is_skipped_and_stays_transparent(start):
    mask = np.ones((50, 62), bool)
    mask[:, :26] = False
    tissue = TissueMask(mask, 5.0)
    network = FakeNetwork()
    left, mixed = boxed(0, 0, 500, 250, name="left"), boxed(0, 200, 100, 400)
    events, store = start(left, mixed, network=network, tissue=tissue)
    events = list(events)
    assert events[0].n_background == 8 * 4
    assert events[1].suggestion.region_id == "left"
    assert "no tissue" in events[1].suggestion.call.reason
    assert network.n_tiles == len(tiles_done(events)) == 2 * 3
    assert events[-2].n_done == events[-2].n_tiles
    assert (store.state[:, :4] == TileState.BACKGROUND).all()
    assert not store.synthetic_levels[0][:, :256].any()
    # without the mask the same tiles are computed after all
    list(start(left, network=network)[0])
    assert (store.state[:, :4] == TileState.HE_ONLY).all()


def coordinates(shape, scale):
    """An image whose first two channels say where a pixel lies."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([y / scale, x / scale, 0 * y], -1).astype(np.uint8)


def test_rotated_ihc_is_read_in_the_frame_of_the_he(tmp_path, slide):
    angle = np.deg2rad(30)
    rotation = Affine.from_matrix(
        [
            [np.cos(angle), -np.sin(angle), 120.0],
            [np.sin(angle), np.cos(angle), -20.0],
        ]
    )
    he = slide("he.tif", speckled((500, 620), 1))
    ihc = slide("ihc.tif", coordinates((1000, 1000), 4), 0.25)
    pair = pair_of(he, ihc, rotation)
    bundle = bundle_of(tmp_path)
    network = FakeNetwork()
    store = open_store(pair, bundle, root=tmp_path)
    events = list(run(pair, network, bundle, [boxed(128, 256, 192, 320)], store))
    assert events[-1].suggestion.evidence is Evidence.BOTH
    (_, seen), *_ = network.seen
    where = seen[0, :2].numpy().transpose(1, 2, 0) * 255 * 4
    pixel = np.stack(np.mgrid[:96, :96], -1) + 0.5
    at_he_um = (pixel + np.array([128 - 16, 256 - 16])) * MPP
    expected = rotation.apply(at_he_um) / 0.25
    assert np.abs(where - expected).max() < 6
    assert abs((where - expected).mean()) < 3


def test_a_bent_ihc_is_read_in_the_frame_of_the_he(tmp_path, slide):
    image = speckled((500, 620), 3)
    he = slide("he.tif", speckled((500, 620), 2))
    ihc = slide("ihc.tif", image)
    # everywhere the same bend: a plain shift by 16 x 24 px, but no affine step
    shift = Warp((0.0, 0.0), 80.0, np.full((7, 8, 2), (8.0, 12.0)))
    bent = Registration(Transform("he", "ihc", (shift,)), None, "bent")
    straight = Registration.of_affine(Affine(((1, 0, 8), (0, 1, 12))), "straight")
    card = bundle_of(tmp_path / "bundle").card
    inputs = [
        TileReader(SlidePair(he, ihc, one), card).read((2, 3))
        for one in (bent, straight)
    ]
    assert inputs[0].evidence is Evidence.BOTH
    np.testing.assert_array_equal(inputs[0].he, inputs[1].he)
    np.testing.assert_array_equal(inputs[0].ihc, inputs[1].ihc)
    assert (inputs[0].ihc != 255).any()


def test_a_tile_beyond_the_ihc_is_read_from_he_alone_and_not_mixed_in(tmp_path, slide):
    he = slide("he.tif", speckled((256, 256), 1))
    ihc = slide("ihc.tif", speckled((256, 256), 2))
    pair = pair_of(he, ihc, Affine.from_matrix([[1, 0, 0], [0, 1, 64.0]]))
    bundle = bundle_of(tmp_path)
    store = open_store(pair, bundle, root=tmp_path)
    network = FakeNetwork()
    events = list(
        run(
            pair,
            network,
            bundle,
            [boxed(0, 0, 256, 256), boxed(0, 128, 256, 256, name="beyond")],
            store,
        )
    )
    assert (store.state[:, :2] == TileState.BOTH).all()
    assert (store.state[:, 2:] == TileState.HE_ONLY).all()
    said = {
        e.suggestion.region_id: e.suggestion
        for e in events
        if isinstance(e, RegionDone)
    }
    assert said["view"].evidence is Evidence.BOTH
    assert said["view"].n_tiles == 8
    assert ("tiles without IHC", "8") in said["view"].provenance.parameters
    assert said["beyond"].evidence is Evidence.HE_ONLY
    assert said["beyond"].caution


def test_ihc_alone_is_the_reference_and_nothing_is_synthesised(tmp_path, slide):
    pair = pair_of(ihc=slide("ihc.tif", speckled((130, 130), 2)))
    bundle = bundle_of(tmp_path)
    store = open_store(pair, bundle, root=tmp_path)
    network = FakeNetwork()
    events = list(run(pair, network, bundle, [boxed(0, 0, 130, 130)], store))
    assert all(he is None for he, _ in network.seen)
    assert events[-1].suggestion.evidence is Evidence.IHC_ONLY
    assert events[-1].suggestion.provenance.direction == ""
    assert (store.state == TileState.IHC_ONLY).all()
    assert np.isfinite(store.map("probabilities")).all()
    assert not store.synthetic_levels[0][:].any()


def test_padded_batches_give_what_single_tiles_give(start):
    one, first = start(boxed(0, 0, 200, 200), cache="one")
    many, second = start(boxed(0, 0, 200, 200), cache="many", batch_size=5)
    assert sorted(tiles_done(one)) == sorted(tiles_done(many))
    np.testing.assert_array_equal(
        first.synthetic_levels[0][:], second.synthetic_levels[0][:]
    )


def test_a_finer_slide_is_resampled_to_the_model(tmp_path, bundle, slide):
    image = np.repeat(np.repeat(speckled((200, 200), 3), 2, 0), 2, 1)
    fine = pair_of(slide("fine.tif", image, MPP / 2))
    plain = pair_of(slide("plain.tif", image[::2, ::2]))
    pictures = []
    for pair in (fine, plain):
        store = open_store(pair, bundle, root=tmp_path)
        side = pair.he.shape[0] // 2
        list(run(pair, FakeNetwork(), bundle, [boxed(0, 0, side, side)], store))
        pictures.append(store.synthetic_levels[0][:128, :128].astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_a_run_that_cannot_be_says_why(tmp_path, slide, start, he_pair, bundle):
    with pytest.raises(UsageError, match="outside the slide"):
        list(start(boxed(600, 0, 700, 100))[0])
    with pytest.raises(UsageError, match="no region"):
        list(start()[0])
    with pytest.raises(UsageError, match="share an id"):
        list(start(boxed(0, 0, 9, 9), boxed(9, 9, 20, 20))[0])
    with pytest.raises(NotReadyError, match="HER2 IHC"):
        open_store(he_pair, bundle_of(tmp_path, inputs=("ihc",)))
    with pytest.raises(NotReadyError, match=r"Slide: it has 0\.5 µm/px, too coarse"):
        open_store(he_pair, bundle_of(tmp_path, mpp=0.3))
    unknown = pair_of(slide("x.tif", speckled((99, 99), 1), None))
    with pytest.raises(NotReadyError, match=r"Slide: its scale is unknown"):
        open_store(unknown, bundle)
    other = open_store(he_pair, bundle_of(tmp_path, mpp=0.6), root=tmp_path)
    with pytest.raises(UsageError, match="belongs to other"):
        list(run(he_pair, FakeNetwork(), bundle, [boxed(0, 0, 9, 9)], other))


def test_a_network_that_gives_no_numbers_is_refused(start):
    events, store = start(
        boxed(0, 0, 9, 9), network=FakeNetwork(logits=[0.0, float("nan"), 0, 0, 0, 0])
    )
    with pytest.raises(BundleError, match="no numbers"):
        list(events)
    assert not store.state.any()


def test_pixels_of_unfamiliar_tissue_are_kept_only_when_forced(
    he_pair, bundle, tmp_path
):
    box = boxed(0, 0, 500, 620)
    shown = {}
    for forced in (False, True):
        store = open_store(he_pair, bundle, forced=forced, root=tmp_path)
        network = FakeNetwork(unfamiliar_below=0.5)
        *_, last = run(he_pair, network, bundle, [box], store)
        assert 0.4 < store.unfamiliar.mean() < 0.6
        shown[forced] = store.synthetic_levels[0][..., 3] == 255
        assert last.suggestion.forced is forced
    assert shown[True].all()
    assert 0.4 < shown[False].mean() < 0.6
    assert not shown[False][:100, :512].any(), "the dark rows are unfamiliar"


def test_ihc_alone_shows_the_he_it_reconstructs(tmp_path, slide):
    pair = pair_of(ihc=slide("ihc.tif", speckled((130, 130), 2)))
    files = {"ihc_to_he.safetensors": "ab" * 32}
    bundle = bundle_of(tmp_path, files=files)
    store = open_store(pair, bundle, root=tmp_path)
    network = FakeNetwork(makes_he=True)
    *_, last = run(pair, network, bundle, [boxed(0, 0, 130, 130)], store)
    assert store.direction == last.suggestion.provenance.direction == "ihc->he"
    assert (store.synthetic_levels[0][..., 3] == 255).all()
    assert last.suggestion.evidence is Evidence.IHC_ONLY


def test_probabilities_are_calibrated_by_the_arm_that_scored(he_pair, bundle, tmp_path):
    values = Calibration(0.1, temperature={Arm.HE: 4.0, Arm.BOTH: 0.1}).to_dict()
    softer = bundle_of(tmp_path, parameters={"calibration": values})
    box, logits = boxed(0, 0, 64, 64), [0.0, 0.0, 0.0, 0.0, 4.0, 0.0]
    said = []
    for k, used in enumerate((bundle, softer)):
        store = open_store(he_pair, used, root=tmp_path / str(k))
        list(run(he_pair, FakeNetwork(logits=logits), used, [box], store))
        said.append(store.probabilities_of((0, 0)))
    np.testing.assert_allclose(said[0][4], np.exp(4) / (np.exp(4) + 5), rtol=1e-6)
    np.testing.assert_allclose(said[1][4], np.e / (np.e + 5), rtol=1e-6)
