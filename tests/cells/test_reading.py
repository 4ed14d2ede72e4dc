import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tifffile
from skimage.io import imsave

from napari_her2.cells.call import call_cells
from napari_her2.cells.reading import look_at, propose_tumour, read_cells
from napari_her2.cells.score_file import ScoreAsked, cells_of, score_file
from napari_her2.cells.table import CELL_COLUMNS, made_of, no_cells, write_cells
from napari_her2.core.errors import SlideError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineLimits
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells as true_cells
from napari_her2.slides.slide import open_slide

MPP = 0.5


@pytest.fixture(scope="module")
def pair():
    return VirtualPair(
        draw_recipe(5014, stratum=Score.THREE, width_um=420.0, height_um=380.0)
    )


@pytest.fixture(scope="module")
def images(pair, tmp_path_factory):
    """Both stains as files: IHC, H&E, and an IHC that does not say its scale."""
    folder = tmp_path_factory.mktemp("cells")
    paths = {}
    for stain in Stain:
        image = pair.render(stain, BoxPx.of_shape(pair.shape_px(stain)))
        paths[stain] = folder / f"{stain.value}.tif"
        tifffile.imwrite(
            paths[stain],
            image,
            tile=(256, 256),
            resolution=(1e4 / MPP, 1e4 / MPP),
            resolutionunit="CENTIMETER",
        )
    paths["no scale"] = folder / "no scale.png"
    imsave(paths["no scale"], image, check_contrast=False)
    return paths


@pytest.fixture(scope="module")
def found(images):
    with open_slide(images[Stain.IHC]) as slide:
        return cells_of(slide)


def test_columns_are_those_that_are_promised(found):
    assert found.schema.names == list(CELL_COLUMNS)
    assert found.schema.types == list(CELL_COLUMNS.values())
    assert no_cells().schema == found.schema


def test_most_tumour_cells_are_found_and_once(found, pair):
    truth = true_cells(pair, Stain.IHC)
    kind = np.array(truth["type"].to_pylist())
    true = np.stack([truth["nucleus_y_um"], truth["nucleus_x_um"]], -1)
    true = true[(kind != "lymphocyte") & (truth["nucleus_a_um"].to_numpy() > 1)]
    true = true[((true > 8) & (true < np.array([372, 412]))).all(1)]
    places = np.stack([found["y_px"], found["x_px"]], -1) * MPP
    away = np.hypot(*(true[:, None] - places[None]).transpose(2, 0, 1))
    assert (away.min(1) < 3).mean() > 0.9
    between = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(between, 99)
    assert between.min() > 1


def test_a_strong_slide_is_called_so(found):
    call = call_cells(found, MPP)
    assert call.reading.call is Score.THREE
    assert call.mean_membrane_od > 0.2
    assert call.heterogeneity.kind in {"none", "scattered", "clustered"}


def test_a_part_of_a_slide_has_the_cells_of_that_part(images):
    part = BoxPx(100, 150, 500, 600)
    with open_slide(images[Stain.IHC]) as slide:
        look = look_at(slide, Stain.IHC)
        whole, some = (
            pa.concat_tables(s.cells for s in read_cells(slide, look, region_px=box))
            for box in (None, part)
        )
    y, x = some["y_px"].to_numpy(), some["x_px"].to_numpy()
    assert ((y >= 100) & (y < 500) & (x >= 150) & (x < 600)).all()
    y, x = whole["y_px"].to_numpy(), whole["x_px"].to_numpy()
    expected = ((y >= 100) & (y < 500) & (x >= 150) & (x < 600)).sum()
    assert some.num_rows == pytest.approx(expected, rel=0.03)


def test_reading_stops_when_it_is_closed(images):
    with open_slide(images[Stain.IHC]) as slide:
        steps = read_cells(slide, look_at(slide, Stain.IHC))
        assert 0 < next(steps).done <= 1
        steps.close()


def test_a_part_has_the_cells_that_the_whole_has_there(images):
    part = BoxPx(100, 80, 300, 260)
    with open_slide(images[Stain.IHC]) as slide:
        look = look_at(slide, Stain.IHC)
        whole, some = (
            pa.concat_tables(
                step.cells for step in read_cells(slide, look, region_px=box)
            )
            for box in (None, part)
        )
    y, x = (whole[name].to_numpy() for name in ("y_px", "x_px"))
    is_in = (y >= 100) & (y < 300) & (x >= 80) & (x < 260)
    assert is_in.sum() > 20
    there = whole.filter(pa.array(is_in))
    known = [name for name in CELL_COLUMNS if name != "tumour_score"]
    assert some.select(known).equals(there.select(known))


def test_a_fine_scan_reads_as_a_coarse_one(found, pair, tmp_path):
    box = BoxPx.of_shape(pair.shape_px(Stain.IHC))
    image = pair.render(Stain.IHC, box).repeat(2, 0).repeat(2, 1)
    tifffile.imwrite(tmp_path / "fine.tif", image, tile=(256, 256))
    with open_slide(tmp_path / "fine.tif") as slide:
        fine = cells_of(slide.with_mpp(MPP / 2))
    one, other = (call_cells(t, m) for t, m in ((found, MPP), (fine, MPP / 2)))
    assert one.reading.call == other.reading.call
    assert fine.num_rows == pytest.approx(found.num_rows, rel=0.05)


def test_he_has_nuclei_and_no_membranes(images):
    with open_slide(images[Stain.HE]) as slide:
        cells = cells_of(slide, stain=Stain.HE)
    assert cells.num_rows > 100
    assert np.isnan(cells["membrane_od"].to_numpy()).all()


@pytest.mark.parametrize(
    ("which", "options", "says"),
    [
        ("no scale", {}, "scale unknown"),
        (Stain.HE, {}, "looks like H&E"),
        (Stain.IHC, {"mpp": 3.0}, "too coarse"),
        (Stain.IHC, {"least_cells": 100_000}, "at least 100"),
        (Stain.IHC, {"region_px": BoxPx(0, 0, 12, 12)}, ""),
        (Stain.IHC, {"region_px": BoxPx(9000, 9000, 9100, 9100)}, "beside the image"),
    ],
)
def test_what_cannot_be_scored_has_its_reason(images, which, options, says):
    found = score_file(ScoreAsked(images[which], **options))
    assert isinstance(found.call, NotAssessable)
    assert says in found.reason


def test_a_wrong_stain_can_be_forced(images):
    found = score_file(ScoreAsked(images[Stain.HE], force=True))
    assert "looks like" not in found.reason


def test_blank_glass_has_no_score(tmp_path):
    tifffile.imwrite(tmp_path / "blank.tif", np.full((300, 300, 3), 243, np.uint8))
    found = score_file(ScoreAsked(tmp_path / "blank.tif", mpp=MPP))
    assert isinstance(found.call, NotAssessable)


def test_a_file_that_is_none_has_no_score(tmp_path):
    (tmp_path / "text.tif").write_text("not an image")
    found = score_file(ScoreAsked(tmp_path / "text.tif", mpp=MPP))
    assert isinstance(found.call, NotAssessable)
    assert found.cells is None


def test_scale_is_needed_for_cells(images):
    with (
        open_slide(images["no scale"]) as slide,
        pytest.raises(SlideError, match="scale is unknown"),
    ):
        look_at(slide, Stain.IHC)


def test_tables_are_written(found, tmp_path):
    write_cells(found, tmp_path / "cells.parquet")
    read = pyarrow.parquet.read_table(tmp_path / "cells.parquet")
    assert read.equals(found)
    assert made_of(read)["thresholds"]["complete_share"] > 0
    assert made_of(read)["slide_um_per_px"] == MPP
    write_cells(found, tmp_path / "cells.csv")
    head = (tmp_path / "cells.csv").read_text().splitlines()[0]
    assert head.startswith('"x_px","y_px","area_um2"')


def test_no_cells_are_not_a_zero():
    call = call_cells(propose_tumour(no_cells(), MPP), MPP, limits=GuidelineLimits(1))
    assert isinstance(call.reading.call, NotAssessable)
