"""Pixels: a function of recipe and place, and in agreement with the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.recipe import PhantomRecipe, draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells

SIDE_UM = 420.0


def small(seed: int, stratum: Score | None = None, **more: object) -> PhantomRecipe:
    sizes = {"width_um": SIDE_UM, "height_um": SIDE_UM - 20} | more
    return draw_recipe(seed, stratum=stratum, **sizes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pair() -> VirtualPair:
    return VirtualPair(small(3, Score.THREE))


@pytest.fixture(scope="module")
def wholes(pair: VirtualPair) -> dict[Stain, np.ndarray]:
    return {
        stain: pair.render(stain, BoxPx.of_shape(pair.shape_px(stain)))
        for stain in Stain
    }


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), stain=st.sampled_from(list(Stain)))
def test_any_tile_equals_the_same_part_of_the_whole(pair, wholes, data, stain):
    height, width = pair.shape_px(stain)
    y0 = data.draw(st.integers(0, height - 1))
    x0 = data.draw(st.integers(0, width - 1))
    y1 = data.draw(st.integers(y0 + 1, min(height, y0 + 150)))
    x1 = data.draw(st.integers(x0 + 1, min(width, x0 + 150)))
    tile = pair.render(stain, BoxPx(y0, x0, y1, x1))
    np.testing.assert_array_equal(tile, wholes[stain][y0:y1, x0:x1])


def test_a_tile_far_out_on_a_huge_slide_is_the_same_however_it_is_asked_for():
    recipe = replace(small(4), width_um=50_000.0, height_um=40_000.0)
    pair = VirtualPair(recipe)
    assert pair.shape_px(Stain.HE) == (80_000, 100_000)
    middle = BoxPx(50_000, 70_000, 50_140, 70_120)
    for stain in Stain:
        tile = pair.render(stain, middle)
        around = pair.render(stain, middle.padded(60))
        np.testing.assert_array_equal(tile, around[60:-60, 60:-60])


def test_the_seed_decides_everything(wholes):
    again = VirtualPair(small(3, Score.THREE))
    other = VirtualPair(small(5, Score.THREE))
    box = BoxPx(200, 200, 400, 400)
    for stain in Stain:
        expected = wholes[stain][200:400, 200:400]
        np.testing.assert_array_equal(again.render(stain, box), expected)
        assert (other.render(stain, box) != expected).mean() > 0.5


def test_slides_show_tissue_on_a_bright_background(pair, wholes):
    for stain, image in wholes.items():
        assert image.shape == (*pair.shape_px(stain), 3)
        dark = (image.mean(-1) < 215).mean()
        assert 0.1 < dark < 0.95
        assert np.median(image[:6]) > 220


def test_a_box_outside_the_slide_is_refused(pair):
    width = pair.shape_px(Stain.HE)[1]
    for box in (BoxPx(0, 0, 10, width + 1), BoxPx(5, 5, 5, 9), BoxPx(-1, 0, 9, 9)):
        with pytest.raises(UsageError, match="inside the slide"):
            pair.render(Stain.HE, box)


def brownness(image: np.ndarray) -> np.ndarray:
    """How much more blue light is lost than red: DAB, not haematoxylin."""
    density = -np.log10(np.clip(image, 1, None) / 245.0)
    return density[..., 2] - density[..., 0]


def test_dab_lies_in_the_membranes_of_stained_cells():
    shares = MembraneShares(complete_intense=0.5)
    recipe = small(6, Score.ZERO)
    plan = replace(recipe.membranes, shares=shares, clustering=0.0, blush_od=0.0)
    solid = replace(recipe.architecture, bed_share=0.98)
    pair = VirtualPair(replace(recipe, membranes=plan, architecture=solid))
    whole = BoxPx.of_shape(pair.shape_px(Stain.IHC))
    brown = brownness(pair.render(Stain.IHC, whole))
    table = cells(pair, Stain.IHC, whole)
    pattern = np.array(table["pattern"].to_pylist())
    invasive = np.array(table["type"].to_pylist()) == "invasive"
    assert invasive.sum() > 100
    ring, centre = {}, {}
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for name in ("none", "complete_intense"):
        mine = invasive & (pattern == name)
        y, x, radius = (
            table[column].to_numpy()[mine][:, None] / recipe.mpp
            for column in ("y_um", "x_um", "cell_radius_um")
        )
        rows = np.clip(y + radius * np.sin(angle), 0, whole.y1 - 1).astype(int)
        cols = np.clip(x + radius * np.cos(angle), 0, whole.x1 - 1).astype(int)
        ring[name] = brown[rows, cols].mean()
        centre[name] = brown[y.astype(int), x.astype(int)].mean()
    assert ring["complete_intense"] > ring["none"] + 0.04
    assert ring["complete_intense"] > centre["complete_intense"] + 0.04


def test_he_knows_nothing_of_her2_at_signal_zero():
    box = BoxPx(100, 100, 500, 500)
    recipes = {
        score: small(7, score, morphology_signal=0.0)
        for score in (Score.ZERO, Score.TWO, Score.THREE)
    }
    pixels = {
        score: VirtualPair(recipe).render(Stain.HE, box)
        for score, recipe in recipes.items()
    }
    first = pixels[Score.ZERO]
    for score, image in pixels.items():
        np.testing.assert_array_equal(image, first, err_msg=str(score))
        plan = recipes[score]
        assert plan.cytology == recipes[Score.ZERO].cytology
        assert plan.architecture == recipes[Score.ZERO].architecture


def test_he_shows_the_level_at_signal_one():
    def mean_nucleus(score: Score) -> float:
        drawn = [
            draw_recipe(seed, morphology_signal=1.0, width_um=300, height_um=300)
            for seed in range(60)
        ]
        chosen = [r for r in drawn if r.target_score is score]
        return float(np.mean([r.cytology.nuclear_diameter_um for r in chosen]))

    assert mean_nucleus(Score.THREE) > mean_nucleus(Score.ZERO) + 0.8


def test_no_cell_is_repeated(pair):
    for stain in Stain:
        table = cells(pair, stain)
        ids, angles = (table[c].to_numpy() for c in ("id", "nucleus_angle"))
        assert len(np.unique(ids)) == len(ids)
        carcinoma = angles[np.array(table["type"].to_pylist()) != "lymphocyte"]
        assert len(np.unique(carcinoma)) == len(carcinoma)
