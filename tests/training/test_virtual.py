from dataclasses import replace

import numpy as np
import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells
from napari_her2.training.config import TrainingConfig
from napari_her2.training.tiles import CLASSES, TileCache
from napari_her2.training.virtual import VirtualTiles, _Cells

CONFIG = TrainingConfig(core_px=128, tiles_per_slide=2)


@pytest.fixture(scope="module")
def tiles():
    return VirtualTiles.for_training(CONFIG).render(0)


def test_a_slide_gives_its_tiles_in_both_stains(tiles):
    assert len(tiles) == 2
    for tile in tiles:
        assert tile.he.shape == tile.ihc.shape == (256, 256, 3)
        assert tile.he.dtype == tile.ihc.dtype == np.uint8
        assert all(0 <= label < len(CLASSES) for label in tile.labels)
        assert tile.cells.shape == (16, 16, 5)


def test_cells_lie_where_the_truth_has_them():
    source = VirtualTiles.for_training(CONFIG)
    recipe = draw_recipe(source.first_seed, mpp=source.mpp)
    pair = VirtualPair(recipe)
    box = BoxPx(600, 900, 1112, 1412)
    counts = _Cells(pair, box).counts()
    listed = cells(pair, Stain.IHC).to_pandas()
    listed = listed[listed.type == "invasive"]
    y, x = listed.he_y_um / recipe.mpp - box.y0, listed.he_x_um / recipe.mpp - box.x0
    inside = (y >= 0) & (y < 512) & (x >= 0) & (x < 512)
    assert counts.sum() == inside.sum() > 0
    expected = np.zeros((32, 32), int)
    np.add.at(
        expected, ((y[inside] // 16).astype(int), (x[inside] // 16).astype(int)), 1
    )
    assert np.abs(counts.sum(2) - expected).sum() <= 2  # float32 at a border


def test_the_ihc_lies_on_the_he(tiles):
    """Tissue against glass must coincide better than when shifted by 30 px."""
    he, ihc = (255.0 - getattr(tiles[1], stain).mean(2) for stain in ("he", "ihc"))

    def agreement(shift: int) -> float:
        return float(
            np.corrcoef(he[:, shift:].ravel(), ihc[:, : 256 - shift].ravel())[0, 1]
        )

    assert agreement(0) > agreement(30)


def test_slides_of_two_uses_never_meet():
    train, made = VirtualTiles.for_training(CONFIG), VirtualTiles.for_generator(CONFIG)
    known = VirtualTiles.for_familiarity(CONFIG)
    other = VirtualTiles.for_training(replace(CONFIG, seed=CONFIG.seed + 1))
    assert train.first_seed + train.n_slides <= made.first_seed
    assert made.first_seed + made.n_slides <= known
    assert known + CONFIG.n_familiarity_slides <= other.first_seed


def test_the_same_slide_comes_back(tiles):
    again = VirtualTiles.for_training(CONFIG).render(0)
    assert np.array_equal(again[1].ihc, tiles[1].ihc)
    assert again[1].labels == tiles[1].labels


@pytest.mark.slow
def test_a_cache_renders_in_processes_and_only_what_is_missing(tmp_path):
    source = VirtualTiles.for_training(
        replace(CONFIG, core_px=32, n_slides=2, n_validation_slides=0)
    )
    cache = TileCache(tmp_path, source)
    assert [p.step for p in cache.fill(1)] == [1, 2]
    assert np.array_equal(cache.he[2], source.render(1)[0].he)
    again = TileCache(tmp_path, source)
    assert list(again.fill(1)) == []
    assert np.array_equal(again.labels, cache.labels)
    assert again.slides.tolist() == [0, 0, 1, 1]
