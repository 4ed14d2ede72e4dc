import csv
import json

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_her2.cli.commands import commands
from napari_her2.cli.score import COLUMNS
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    pair = VirtualPair(
        draw_recipe(5014, stratum=Score.THREE, width_um=330.0, height_um=260.0)
    )
    path = tmp_path_factory.mktemp("field") / "Feld ä 1.tif"
    image = pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))
    tifffile.imwrite(path, image)
    return path


def run(*arguments):
    return CliRunner().invoke(commands, [str(each) for each in arguments])


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_row_per_image_and_a_bad_one_is_a_row(field, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 and no more")
    out = tmp_path / "deep" / "scores.csv"
    result = run("score", broken, field, "--mpp", 0.5, "--csv", out)
    assert result.exit_code == 0, result.output
    bad, good = rows_of(out)
    assert list(good) == list(COLUMNS)
    assert (bad["score"], bad["status"]) == ("NA", "not assessable")
    assert bad["reason"]
    assert (good["score"], good["status"]) == ("3+", "scored")
    shares = [float(good[name]) for name in COLUMNS if name.startswith("pct_")]
    assert sum(shares) == pytest.approx(100, abs=0.05)
    low, high = float(good["ci_low"]), float(good["ci_high"])
    assert low < float(good["pct_complete_intense"]) < high
    assert int(good["n_cells"]) > 50
    assert 0 < float(good["h_score"]) <= 300


def test_an_unknown_scale_is_na(field, tmp_path):
    result = run("score", field, "--csv", tmp_path / "a.csv", "--processes", 1)
    assert result.exit_code == 0, result.output
    (row,) = rows_of(tmp_path / "a.csv")
    assert row["score"] == "NA"
    assert "scale unknown" in row["reason"]


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "5,5,5,9", "none.geojson"])
def test_a_region_that_is_none_is_refused(field, tmp_path, region):
    result = run("score", field, "--region", region, "--csv", tmp_path / "a.csv")
    assert result.exit_code != 0
    assert not (tmp_path / "a.csv").exists()


def outlines_of(*rings, name="Tumor"):
    return json.dumps(
        [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"classification": {"name": name}},
            }
            for ring in rings
        ]
    )


def test_regions_are_read_from_a_folder_by_the_name_of_the_image(field, tmp_path):
    other = tmp_path / "other.tif"
    other.write_bytes(field.read_bytes())
    folder = tmp_path / "regions"
    folder.mkdir()
    ring = [[-50, -50], [900, -50], [900, 300], [-50, 300]]
    (folder / f"{field.stem}.geojson").write_text(outlines_of(ring))
    out = tmp_path / "a.csv"
    options = "--mpp", 0.5, "--processes", 1, "--csv", out
    result = run("score", field, other, "--region", folder, *options)
    assert result.exit_code == 0, result.output
    half, without = rows_of(out)
    assert (half["tumour"], half["score"]) == ("region", "3+")
    assert "reaches beyond the image and was clipped" in half["reason"]
    assert (without["tumour"], without["score"]) == ("region", "NA")
    assert "no file of regions for this image" in without["reason"]
    result = run("score", field, *options)
    assert result.exit_code == 0, result.output
    (whole,) = rows_of(out)
    share = int(half["n_cells"]) / int(whole["n_cells"])
    assert 0.3 < share < 0.85


@pytest.mark.parametrize(
    ("ring", "says"),
    [
        ([[0, 0], [400, 400], [400, 0], [0, 400]], "crosses itself near x 200, y 200"),
        (
            [[5000, 5000], [5400, 5000], [5400, 5400]],
            "beside the image (660 × 520",
        ),
        ([[200, 200], [260, 200], [260, 260]], "at least 50"),
    ],
)
def test_a_drawn_region_that_cannot_be_scored_is_named(field, tmp_path, ring, says):
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(outlines_of(ring))
    out = tmp_path / "a.csv"
    result = run("score", field, "--region", drawn, "--mpp", 0.5, "--csv", out)
    assert result.exit_code == 0, result.output
    (row,) = rows_of(out)
    assert row["score"] == "NA"
    assert says in row["reason"]


def test_one_file_of_regions_is_for_one_image(field, tmp_path):
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(outlines_of([[0, 0], [9, 0], [9, 9]]))
    out = tmp_path / "a.csv"
    result = run("score", field, field, "--region", drawn, "--csv", out)
    assert "several images" in str(result.exception)


def test_cells_are_listed(field, tmp_path):
    out = tmp_path / "cells.csv"
    result = run("cells", field, "--mpp", 0.5, "--csv", out)
    assert result.exit_code == 0, result.output
    table = rows_of(out)
    assert len(table) > 50
    assert list(table[0])[:3] == ["x_px", "y_px", "area_um2"]
    height, width = tifffile.imread(field).shape[:2]
    places = np.array([(float(row["y_px"]), float(row["x_px"])) for row in table])
    assert ((places >= 0) & (places <= (height, width))).all()
