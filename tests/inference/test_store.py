import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inference_fakes import FakeNetwork, bundle_of, pair_of

from napari_her2.core.errors import StorageError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.progress import TileDone
from napari_her2.core.records import Arm, Evidence, GateVerdict
from napari_her2.core.region import Region
from napari_her2.inference.engine import run
from napari_her2.inference.grid import TileGrid
from napari_her2.inference.result import TileResult, TileState
from napari_her2.inference.store import (
    CACHE_VARIABLE,
    ResultStore,
    cache_root,
    halve,
    open_store,
)

CORE = 64
WHOLE = Region.from_box("slide", "Whole slide", BoxPx(0, 0, 500, 620))


def result_of(seed, evidence=Evidence.HE_ONLY):
    rng = np.random.default_rng(seed)
    return TileResult(
        evidence,
        Arm.HE_RECONSTRUCTED,
        rng.random(6).astype(np.float32),
        rng.random((2, 2)).astype(np.float32),
        rng.random(5).astype(np.float32),
        float(rng.random()),
        rng.integers(0, 256, (3, CORE, CORE)).astype(np.uint8),
    )


@pytest.fixture
def grid():
    return TileGrid((3000, 1100), 0.5, 0.5, CORE, 8)


@pytest.fixture
def store(tmp_path, grid):
    return ResultStore(tmp_path / "store", grid, {"bundle": "a"})


def pasted(grid, tiles):
    """What the finest level must show, from the tiles' own pixels."""
    image = np.zeros((grid.n_rows * CORE, grid.n_cols * CORE, 4), np.uint8)
    for (row, col), result in tiles.items():
        at = np.s_[row * CORE : row * CORE + CORE, col * CORE : col * CORE + CORE]
        image[at][..., :3] = result.synthetic.transpose(1, 2, 0)
        image[at][..., 3] = 255
    return image


def test_levels_show_what_was_written_and_nothing_else(store, grid):
    tiles = {(0, 0): result_of(1), (3, 5): result_of(2), (46, 17): result_of(3)}
    for tile, result in tiles.items():
        store.write_tile(tile, result)
    full = pasted(grid, tiles)
    levels = store.synthetic_levels
    assert [level.shape for level in levels] == [
        (3000, 1100, 4),
        (1500, 550, 4),
        (750, 275, 4),
    ]
    for level in levels:
        np.testing.assert_array_equal(
            np.asarray(level), full[: level.shape[0], : level.shape[1]]
        )
        rgb = halve(np.ascontiguousarray(full[..., :3].transpose(2, 0, 1)))
        full = np.dstack([rgb.transpose(1, 2, 0), full[::2, ::2, 3]])


indices = st.one_of(
    st.integers(-300, 299),
    st.slices(300),
    st.builds(slice, st.integers(0, 299), st.integers(0, 400), st.integers(1, 9)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indices, indices)
def test_any_slice_equals_that_of_the_whole(level, y, x):
    if any(isinstance(k, slice) and (k.step or 1) < 0 for k in (y, x)):
        with pytest.raises(IndexError, match="forwards"):
            level[y, x]
        return
    whole = np.asarray(level)
    np.testing.assert_array_equal(level[y, x], whole[y, x])
    np.testing.assert_array_equal(level[y, x, :3], whole[y, x, :3])
    np.testing.assert_array_equal(level[..., 3], whole[..., 3])
    np.testing.assert_array_equal(level[y], whole[y])


@pytest.fixture(scope="module")
def level(tmp_path_factory):
    grid = TileGrid((300, 300), 0.5, 0.5, CORE, 8)
    store = ResultStore(tmp_path_factory.mktemp("level") / "store", grid, {})
    for k, tile in enumerate([(0, 0), (1, 2), (4, 4)]):
        store.write_tile(tile, result_of(k))
    return store.synthetic_levels[0]


def test_zarr_reads_the_store(store):
    written = result_of(1)
    store.write_tile((1, 1), written)
    group = zarr.open_group(store.folder, mode="r")
    assert group.attrs["napari_her2"]["identity"] == {"bundle": "a"}
    assert group["synthetic"].attrs["napari_her2"] == {
        "synthetic": True,
        "forced": False,
        "mpp": 0.5,
    }
    pixels, maps = group["synthetic/0"], group["maps"]
    np.testing.assert_array_equal(pixels[:, 64:128, 64:128], written.synthetic)
    assert not pixels[:, :64, :64].any()
    np.testing.assert_array_equal(maps["probabilities"][1, 1], written.probabilities)
    np.testing.assert_array_equal(maps["attention"][2:4, 2:4], written.attention)
    assert np.isnan(maps["branch_share"][0, 0])


def test_maps_know_their_scale_and_are_nan_elsewhere(store):
    assert store.map("attention") is None
    written = result_of(4)
    store.write_tile((2, 3), written)
    assert store.map("attention").shape == (2 * 47, 2 * 18)
    assert store.map_mpp("attention") == 16
    assert store.map_mpp("probabilities") == 32
    for name in ("probabilities", "channel_weights", "branch_share"):
        values = store.map(name)
        assert np.isfinite(values[2, 3]).all()
        assert np.isfinite(values).any(axis=-1).sum() == 1
    np.testing.assert_array_equal(
        store.map("channel_weights")[2, 3], written.channel_weights
    )


def test_results_survive_a_restart_and_show_in_a_store_already_open(store, grid):
    second = ResultStore(store.folder, grid, store.identity)
    written = result_of(5, Evidence.BOTH)
    store.write_tile((1, 0), written)
    for again in (second, ResultStore(store.folder, grid, store.identity)):
        assert again.is_done((1, 0))
        assert again.evidence_of((1, 0)) is Evidence.BOTH
        np.testing.assert_array_equal(
            again.probabilities_of((1, 0)), written.probabilities
        )
        assert again.synthetic_levels[0][64:128, :64, 3].all()


def test_arm_gate_and_distance_come_back_with_the_tile(store, grid):
    gate = GateVerdict(False, -0.25, 0.75, 0.5, 0.5, 0.125, "words are not kept")
    store.write_tile((0, 0), replace(result_of(1), gate=gate, distance=1.5))
    store.write_tile((0, 1), replace(result_of(2), arm=Arm.IHC))
    again = ResultStore(store.folder, grid, store.identity)
    assert again.arm_of((0, 0)) is Arm.HE_RECONSTRUCTED
    assert again.arm_of((0, 1)) is Arm.IHC
    assert again.gate_of((0, 0)) == replace(gate, reason="")
    assert again.gate_of((0, 1)) is None
    assert again.distance_of((0, 0)) == 1.5
    assert np.isnan(again.distance_of((0, 1)))
    assert np.argwhere(again.unfamiliar).tolist() == [[0, 0]]
    with pytest.raises(KeyError):
        again.arm_of((5, 5))


def test_a_tile_without_pixels_between_others_is_transparent(store):
    for column in range(3):
        result = result_of(column)
        hidden = replace(result, synthetic=None, distance=2.0)
        store.write_tile((0, column), hidden if column == 1 else result)
    alpha = store.synthetic_levels[0][:CORE, : 3 * CORE, 3]
    assert alpha[:, :CORE].all()
    assert not alpha[:, CORE : 2 * CORE].any()
    assert alpha[:, 2 * CORE :].all()


@pytest.mark.parametrize(
    ("direction", "forced", "expected"),
    [("he->ihc", False, [0]), ("he->ihc", True, [0, 1]), ("", False, [])],
)
def test_what_was_made_of_unfamiliar_tissue_counts_only_when_forced(
    tmp_path, grid, direction, forced, expected
):
    identity = {"direction": direction, "forced": forced}
    store = ResultStore(tmp_path / "other", grid, identity)
    store.write_tile((0, 0), result_of(1))
    store.write_tile((0, 1), replace(result_of(2), distance=2.0))
    assert np.flatnonzero(store.is_synthesised[0]).tolist() == expected
    group = zarr.open_group(store.folder / "synthetic", mode="r")
    assert group.attrs["napari_her2"]["forced"] is forced


def test_background_never_replaces_a_result(store):
    store.write_tile((0, 0), result_of(1))
    store.mark_background([(0, 0), (0, 1)])
    assert store.is_done((0, 0))
    assert store.state[0, 1] == TileState.BACKGROUND
    assert store.evidence_of((0, 1)) is None
    with pytest.raises(KeyError):
        store.probabilities_of((0, 1))


def test_another_transform_bundle_device_or_backend_has_another_place(
    tmp_path, he_pair, bundle
):
    both = pair_of(he_pair.he, he_pair.he)
    turned = pair_of(he_pair.he, he_pair.he, Affine.scaling(1.01))
    stores = [
        open_store(he_pair, bundle, root=tmp_path),
        open_store(he_pair, bundle, device="cuda", root=tmp_path),
        open_store(he_pair, bundle, backend="openvino-bf16", root=tmp_path),
        open_store(he_pair, bundle, forced=True, root=tmp_path),
        open_store(he_pair, bundle_of(tmp_path, core_px=96), root=tmp_path),
        open_store(both, bundle, root=tmp_path),
        open_store(turned, bundle, root=tmp_path),
        # the transform says nothing about a lone slide
        open_store(pair_of(he_pair.he, None, Affine.scaling(2)), bundle, root=tmp_path),
    ]
    assert len({store.folder for store in stores}) == 7
    assert stores[0].folder == stores[-1].folder


def test_the_cache_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv(CACHE_VARIABLE)
    assert "napari-her2" in str(cache_root())


def test_damaged_results_are_named(store, grid):
    (store.folder / "state" / "zarr.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        ResultStore(store.folder, grid, store.identity)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, grid):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="NAPARI_HER2_CACHE"):
        ResultStore(tmp_path / "file" / "store", grid, {})


def test_a_full_disk_leaves_finished_tiles_valid(store, monkeypatch):
    store.write_tile((0, 0), result_of(1))
    write, room = os.write, [5000]

    def full_write(handle, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= 4096
        return write(handle, data[:4096])

    monkeypatch.setattr(os, "write", full_write)
    with pytest.raises(StorageError, match="No space left") as caught:
        store.write_tile((0, 1), result_of(2))
    assert str(store.folder) in str(caught.value)
    monkeypatch.undo()
    assert store.is_done((0, 0))
    assert not store.is_done((0, 1))
    assert not store.synthetic_levels[0][:64, 64:128].any()
    store.write_tile((0, 1), result_of(2))
    assert store.synthetic_levels[0][:64, 64:128, 3].all()


def test_a_run_into_a_small_disk_fails_by_name_and_goes_on_later(
    small_disk, he_pair, bundle, reference
):
    store = open_store(he_pair, bundle, root=small_disk)
    seen = []
    with pytest.raises(StorageError, match="No space left"):
        seen.extend(run(he_pair, FakeNetwork(), bundle, [WHOLE], store))
    told = [(e.row, e.col) for e in seen if isinstance(e, TileDone)]
    assert told
    assert all(store.is_done(tile) for tile in told)
    assert_done_tiles_equal(store, reference)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, he_pair):
    """The whole slide, computed in one go."""
    folder = tmp_path_factory.mktemp("reference")
    bundle = bundle_of(folder)
    store = open_store(he_pair, bundle, root=folder)
    list(run(he_pair, FakeNetwork(), bundle, [WHOLE], store))
    return store


def assert_done_tiles_equal(store, reference):
    core = store.grid.core_px
    done = np.argwhere(np.array(store.state) >= TileState.BOTH).tolist()
    assert done
    for row, col in done:
        at = np.s_[row * core : row * core + core, col * core : col * core + core]
        np.testing.assert_array_equal(
            store.synthetic_levels[0][at], reference.synthetic_levels[0][at]
        )
        for name in ("probabilities", "channel_weights", "branch_share"):
            np.testing.assert_array_equal(
                store.map(name)[row, col], reference.map(name)[row, col]
            )


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from inference_fakes import FakeNetwork, bundle_of, speckled_pair
from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import TileDone
from napari_her2.core.region import Region
from napari_her2.inference.engine import run
from napari_her2.inference.store import open_store

folder = Path(sys.argv[2])
pair, bundle = speckled_pair(folder), bundle_of(folder)
store = open_store(pair, bundle, root=folder)
whole = Region.from_box("slide", "Whole slide", BoxPx(0, 0, 500, 620))
for event in run(pair, FakeNetwork(0.005), bundle, [whole], store):
    if isinstance(event, TileDone):
        print(event.n_done, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a POSIX signal")
def test_a_killed_run_leaves_only_whole_tiles(tmp_path, he_pair, bundle, reference):
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, here, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        told = 0
        while told < 12:
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    store = open_store(he_pair, bundle, root=tmp_path)
    n_done = int((np.array(store.state) >= TileState.BOTH).sum())
    assert 12 <= n_done < 80
    assert_done_tiles_equal(store, reference)
    network = FakeNetwork()
    list(run(he_pair, network, bundle, [WHOLE], store))
    assert network.n_tiles == 80 - n_done
    assert_done_tiles_equal(reference, store)


def test_two_runs_on_one_store_do_no_harm(tmp_path, he_pair, bundle, reference):
    def work():
        store = open_store(he_pair, bundle, root=tmp_path)
        list(run(he_pair, FakeNetwork(), bundle, [WHOLE], store))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = open_store(he_pair, bundle, root=tmp_path)
    assert (np.array(store.state) == TileState.HE_ONLY).all()
    assert_done_tiles_equal(store, reference)
    assert not list(store.folder.rglob(".*"))


def test_halving_rounds_the_mean_of_four():
    planes = np.random.default_rng(0).integers(0, 256, (3, 8, 12)).astype(np.uint8)
    four = planes.reshape(3, 4, 2, 6, 2).astype(int).sum((2, 4))
    np.testing.assert_array_equal(halve(planes), (four + 2) // 4)
