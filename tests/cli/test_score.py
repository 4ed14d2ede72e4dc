import csv

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


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "5,5,5,9"])
def test_a_region_that_is_none_is_refused(field, tmp_path, region):
    result = run("score", field, "--region", region, "--csv", tmp_path / "a.csv")
    assert result.exit_code != 0
    assert not (tmp_path / "a.csv").exists()


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
