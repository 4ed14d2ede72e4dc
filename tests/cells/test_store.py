"""Tiles that were read are kept, and what is damaged is read again."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from napari_her2.cells import store as stored
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.store import CellStore
from napari_her2.cells.table import made_of, no_cells
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.slides.case import read_case
from napari_her2.slides.slide import open_slide

TILE = BoxPx(0, 0, 1024, 1024)


@pytest.fixture
def slide(virtual_case):
    with open_slide(read_case(virtual_case).ihc) as opened:
        yield opened


@pytest.fixture
def store(tmp_path, slide):
    return CellStore(tmp_path, slide, Stain.IHC, StainingLimits())


def cells_at(y_px):
    table = no_cells()
    row = {name: [0] for name in table.column_names}
    row |= {"y_px": [y_px], "is_tumour": [True], "outline_um": [[4.0] * 36]}
    return pa.table(row, schema=table.schema)


def refuse():
    raise AssertionError("it was read again")


def files(tmp_path):
    return sorted(path for path in tmp_path.rglob("*.parquet"))


def test_a_tile_is_read_once_also_by_the_next_program(store, tmp_path, slide):
    first = store.keep(TILE, lambda: cells_at(7.0))
    again = CellStore(tmp_path, slide, Stain.IHC, StainingLimits())
    assert again.look == store.look
    assert again.keep(TILE, refuse).equals(first)


def test_the_look_is_learned_once(store, tmp_path, slide, monkeypatch):
    monkeypatch.setattr(stored, "look_at", lambda *args: refuse())
    assert CellStore(tmp_path, slide, Stain.IHC, StainingLimits()).look == store.look


def test_other_thresholds_and_another_scale_are_other_results(store, tmp_path, slide):
    store.keep(TILE, lambda: cells_at(7.0))
    limits = StainingLimits(intense_od=0.4)
    other = CellStore(tmp_path, slide, Stain.IHC, limits)
    assert other.keep(TILE, lambda: cells_at(8.0))["y_px"].to_pylist() == [8.0]
    scaled = CellStore(tmp_path, slide.with_mpp(0.4), Stain.IHC, StainingLimits())
    assert scaled.made["slide_um_per_px"] == 0.4
    assert scaled.keep(TILE, lambda: cells_at(9.0))["y_px"].to_pylist() == [9.0]
    assert len(files(tmp_path)) == 3


def test_what_is_damaged_is_read_again(store, tmp_path, slide):
    store.keep(TILE, lambda: cells_at(7.0))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for damage in (b"", whole[:-9], whole[:200] + b"x" * 400):
        path.write_bytes(damage)
        assert store.keep(TILE, lambda: cells_at(7.0)).num_rows == 1
        assert path.read_bytes() == whole, "and it is whole again"
    (look,) = (tmp_path / "cells").glob("look-*.json")
    for damage in ("", "{}", '{"white": [1], "vectors": {}, "nuclei": {}}'):
        look.write_text(damage)
        again = CellStore(tmp_path, slide, Stain.IHC, StainingLimits())
        assert again.look == store.look


def test_a_file_of_another_making_is_not_taken(store, tmp_path):
    store.keep(TILE, lambda: cells_at(7.0))
    (path,) = files(tmp_path)
    pq.write_table(cells_at(99.0), path)
    assert store.keep(TILE, lambda: cells_at(7.0))["y_px"].to_pylist() == [7.0]


def test_a_kept_tile_says_how_it_was_made(store, tmp_path, slide):
    store.keep(TILE, lambda: cells_at(7.0))
    made = made_of(pq.read_table(files(tmp_path)[0]))
    assert made == store.made
    assert made["slide"] == slide.fingerprint
    assert made["slide_um_per_px"] == slide.mpp
    assert made["thresholds"]["intense_od"] == StainingLimits().intense_od
    assert made["stain_vectors_od"]["second"] == list(store.look.vectors.second)
    assert made["software"].startswith("napari-her2 ")


def test_a_disk_that_refuses_costs_time_only(store, tmp_path):
    (tmp_path / "cells" / store._folder.name).write_text("in the way")
    assert store.keep(TILE, lambda: cells_at(7.0)).num_rows == 1


def test_what_was_not_used_for_longest_goes_first(store, tmp_path, slide, monkeypatch):
    import os

    tiles = [BoxPx(0, x, 1024, x + 1024) for x in (0, 1024, 2048)]
    for age, tile in enumerate(tiles):
        store.keep(tile, lambda: cells_at(7.0))
        path = store._folder / f"{'-'.join(map(str, tile.as_tuple()))}.parquet"
        os.utime(path, (1000 + age, 1000 + age))
    store.keep(tiles[0], refuse)
    one = files(tmp_path)[0].stat().st_size
    monkeypatch.setattr(stored, "MOST_BYTES", 2 * one + 2000)
    CellStore(tmp_path, slide, Stain.IHC, StainingLimits())
    kept = {path.name for path in files(tmp_path)}
    assert kept == {"0-0-1024-1024.parquet", "0-2048-1024-3072.parquet"}
