"""Truth: strata, shares, cells, the transform and the files."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.errors import SlideError, StorageError, UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import call_from_shares
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.deformation import SectionTransform
from napari_her2.phantom.ground import NucleusKind
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells, count_shares, regions
from napari_her2.phantom.writing import write_pair
from napari_her2.slides.case import read_case
from napari_her2.slides.pair import open_pair


def columns(table: pyarrow.Table) -> dict[str, np.ndarray]:
    return {
        name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names
    }


SIZE = {"width_um": 600.0, "height_um": 500.0}


@pytest.mark.parametrize("score", list(Score))
def test_a_stratum_is_the_score_of_the_cells_that_are_there(score):
    for seed in (0, 1):
        recipe = draw_recipe(seed, stratum=score, **SIZE)
        n_cells, shares = count_shares(recipe)
        assert n_cells > 0
        assert call_from_shares(shares).score is score


def test_strata_differ_in_shares_but_hardly_ever_hit_the_same_ones():
    drawn = [draw_recipe(seed, **SIZE).membranes.shares for seed in range(80)]
    stained = np.array([shares.stained for shares in drawn])
    assert len({shares for shares in drawn if shares.stained}) == (stained > 0).sum()
    assert ((stained > 0.0) & (stained < 0.2)).sum() > 10


def test_tiles_add_up_to_the_slide():
    pair = VirtualPair(draw_recipe(2, stratum=Score.TWO, **SIZE))
    for stain in Stain:
        height, width = pair.shape_px(stain)
        parts = [
            pair.tile_truth(stain, BoxPx(y, x, min(y + 300, height), x + 400))
            for y in range(0, height, 300)
            for x in range(0, width, 400)
        ]
        n_cells, shares = count_shares(pair.recipe, stain)
        assert sum(n for n, _ in parts) == n_cells
        stained = sum(n * part.stained for n, part in parts)
        assert stained == pytest.approx(n_cells * shares.stained)


def test_the_table_says_what_the_shares_say():
    pair = VirtualPair(draw_recipe(2, stratum=Score.THREE, **SIZE))
    table = columns(cells(pair, Stain.IHC))
    invasive = table["type"] == "invasive"
    n_cells, shares = count_shares(pair.recipe)
    assert invasive.sum() == n_cells
    intense = invasive & (table["pattern"] == "complete_intense")
    assert intense.sum() / n_cells == pytest.approx(shares.complete_intense)
    assert (table["completeness"][intense] > 0.9).all()
    none = invasive & (table["pattern"] == "none")
    assert table["intensity_od"][intense].min() > table["intensity_od"][none].max()


def test_a_box_of_glass_has_no_tumour():
    pair = VirtualPair(draw_recipe(2, **SIZE))
    assert pair.tile_truth(Stain.HE, BoxPx(0, 0, 20, 20)) == (0, MembraneShares())


def test_most_nuclei_persist_in_the_next_section_and_all_in_the_same():
    for section, low, high in (("serial", 0.4, 0.8), ("same", 1.0, 1.0)):
        pair = VirtualPair(draw_recipe(8, section=section, **SIZE))
        he, ihc = (columns(cells(pair, stain)) for stain in Stain)
        tumour = he["type"] == "invasive"
        _, first, second = np.intersect1d(
            np.where(tumour, he["id"], -1), ihc["id"], return_indices=True
        )
        stays = he["nucleus_angle"][first] == ihc["nucleus_angle"][second]
        assert low <= stays.mean() <= high
        moved = np.hypot(
            he["he_y_um"][first] - ihc["he_y_um"][second],
            he["he_x_um"][first] - ihc["he_x_um"][second],
        )
        assert np.median(moved[stays]) <= 2.5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    y=st.floats(0, 40_000),
    x=st.floats(0, 50_000),
)
def test_the_transform_comes_back(seed, y, x):
    recipe = draw_recipe(seed, width_um=50_000.0, height_um=40_000.0)
    transform = SectionTransform.of_recipe(recipe)
    there = transform.he_to_ihc([y, x])
    np.testing.assert_allclose(transform.ihc_to_he(there), [y, x], atol=1e-6)
    rest = np.hypot(*(transform.he_to_ihc_um.apply([y, x]) - there))
    assert rest <= 3 * recipe.offset.deformation_um


def test_the_same_section_has_no_deformation():
    recipe = draw_recipe(3, section="same", **SIZE)
    transform = SectionTransform.of_recipe(recipe)
    points = np.array([[0.0, 0.0], [400.0, 300.0]])
    np.testing.assert_allclose(
        transform.he_to_ihc(points), transform.he_to_ihc_um.apply(points)
    )


def test_both_slides_show_the_same_place():
    recipe = draw_recipe(12, section="same", stratum=Score.THREE, **SIZE)
    pair = VirtualPair(recipe)
    whole = BoxPx.of_shape(pair.shape_px(Stain.HE))
    he, ihc = (pair.render(stain, whole).mean(-1) for stain in Stain)
    rows, cols = np.mgrid[100:900:7, 100:1100:7]
    points = (np.stack([rows, cols], -1) + 0.5) * recipe.mpp
    there = np.floor(pair.transform.he_to_ihc(points) / recipe.mpp).astype(int)
    inside = ((there >= 0) & (there < he.shape)).all(-1)
    there = there[inside]
    light_he = he[rows, cols][inside]
    light_ihc = ihc[there[:, 0], there[:, 1]]
    agreement = np.corrcoef(light_he, light_ihc)[0, 1]
    astray = np.corrcoef(light_he, np.roll(light_ihc, 1000))[0, 1]
    assert agreement > 0.5
    assert agreement > astray + 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"morphology_signal": 1.5},
        {"width_um": 3.0},
        {"mpp": 0.0},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(UsageError):
        draw_recipe(**({"seed": 1} | wrong))


def test_a_slide_without_room_for_a_stratum_says_so():
    with pytest.raises(UsageError, match="larger slide"):
        draw_recipe(3, stratum=Score.THREE, width_um=50, height_um=50)


def test_a_written_pair_opens_with_its_truth(tmp_path):
    recipe = draw_recipe(9, stratum=Score.ONE, width_um=300, height_um=260)
    manifest = write_pair(recipe, tmp_path / "new")
    pair = VirtualPair(recipe)
    with open_pair(read_case(manifest)) as slides:
        np.testing.assert_allclose(slides.he_to_ihc_um.matrix, pair.he_to_ihc_um.matrix)
        for slide, stain in ((slides.he, Stain.HE), (slides.ihc, Stain.IHC)):
            assert slide.shape == pair.shape_px(stain)
            assert slide.mpp == pytest.approx(0.5)
            box = BoxPx(100, 100, 300, 300)
            written = np.asarray(slide.levels[0][100:300, 100:300])
            difference = written.astype(float) - pair.render(stain, box)
            assert abs(difference).mean() < 6
    truth = json.loads((manifest.parent / "truth.json").read_text())
    assert truth["score"] == "1+"
    assert len(truth["regions"]) == len(regions(pair))
    table = pyarrow.parquet.read_table(manifest.parent / "ihc_cells.parquet")
    kinds = np.array(table["type"].to_pylist())
    assert (kinds == "invasive").sum() == truth["n_invasive_cells"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    blocked = tmp_path / "taken"
    blocked.write_text("x")
    recipe = draw_recipe(9, width_um=100, height_um=100)
    with pytest.raises((StorageError, SlideError), match="taken"):
        write_pair(recipe, blocked)


@pytest.mark.parametrize("stain", list(Stain))
def test_nuclei_show_where_cells_are_listed(stain):
    pair = VirtualPair(draw_recipe(5, stratum=Score.TWO, **SIZE))
    listed = columns(cells(pair, stain))
    places = np.stack([listed["nucleus_y_um"], listed["nucleus_x_um"]], -1)
    shown = pair.nuclei_at(stain, places)
    lymphocytes = listed["type"] == "lymphocyte"
    assert lymphocytes.sum() > 20
    assert (shown[lymphocytes] == NucleusKind.LYMPHOCYTE).all()
    invasive = (listed["type"] == "invasive") & (listed["nucleus_a_um"] > 1)
    assert (shown[invasive] == NucleusKind.INVASIVE).mean() > 0.95
    # what is shown at a place does not depend on the places asked for beside it
    assert np.array_equal(pair.nuclei_at(stain, places[7:9]), shown[7:9])
    red = pair.render(stain, BoxPx.of_shape(pair.shape_px(stain)))[..., 0]
    y, x = (places / pair.recipe.mpp).astype(int)[lymphocytes].T
    assert (red[y, x] < np.median(red) - 15).mean() > 0.95


def test_no_nucleus_shows_on_glass():
    pair = VirtualPair(draw_recipe(5, stratum=Score.TWO, **SIZE))
    outside = np.array([[-50.0, 20.0], [20.0, 5000.0]])
    assert not pair.nuclei_at(Stain.HE, outside).any()
