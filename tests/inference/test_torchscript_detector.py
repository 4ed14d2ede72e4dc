"""A real TorchScript network finds nuclei, at its own scale, and is on record."""

import csv
import hashlib
import json
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy import ndimage
from skimage.io import imsave
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

from napari_her2.cells.detector import at_scale
from napari_her2.cells.provenance import key_of, reading_record
from napari_her2.cells.reading import look_at
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.store import CellStore
from napari_her2.cells.table import made_of
from napari_her2.cli.commands import commands
from napari_her2.core.errors import BundleError
from napari_her2.core.score import Stain
from napari_her2.inference.torchscript_detector import load_detector
from napari_her2.slides.slide import open_slide

MPP = 0.5
PLACES = [(40 + 36 * row, 45 + 40 * col) for row in range(10) for col in range(12)]


class Blobs(nn.Module):
    """Labels what is dark in red, by handing the highest number on."""

    pixel_size: float

    def __init__(self, pixel_size: float) -> None:
        super().__init__()
        self.pixel_size = pixel_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = (x[:, :1] < 0.4).float()
        number = torch.arange(1, x.shape[2] * x.shape[3] + 1, dtype=torch.float32)
        number = number.reshape(1, 1, x.shape[2], x.shape[3]) * dark
        for _ in range(40):
            number = functional.max_pool2d(number, 3, 1, 1) * dark
        return number


class Faulty(nn.Module):
    pixel_size: float

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.pixel_size = 0.5
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "shape":
            return x[0, 0]
        if self.kind == "shares":
            return x
        return x @ torch.zeros(3, 3)


class Scaleless(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def write(path, network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(network), path)
    return path


@pytest.fixture(scope="module", params=[0.5, 0.25])
def network(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "blobs.pt"
    return write(path, Blobs(request.param))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A hundred and twenty blue nuclei in faintly brown membranes at 0.5 µm/px."""
    y, x = np.indices((440, 540))
    blue, brown = np.zeros(y.shape), np.zeros(y.shape)
    for place in PLACES:
        away = np.hypot(y - place[0], x - place[1])
        blue += 0.5 * (away < 8)
        brown += 0.5 * (abs(away - 13) < 1.5)
    density = ndimage.gaussian_filter(blue + 0.05, 1)[..., None] * [
        0.65,
        0.70,
        0.29,
    ] + ndimage.gaussian_filter(brown, 1)[..., None] * [0.27, 0.57, 0.78]
    image = np.pad(
        240 * 10**-density, ((30, 30), (30, 30), (0, 0)), constant_values=240
    )
    path = tmp_path_factory.mktemp("drawn") / "drawn.png"
    imsave(path, image.round().astype(np.uint8), check_contrast=False)
    return path


def run(*arguments):
    return CliRunner().invoke(commands, [str(each) for each in arguments])


def test_its_nuclei_are_the_cells_and_the_table_names_it(drawn, network, tmp_path):
    out = tmp_path / "cells.parquet"
    result = run("cells", drawn, "--mpp", MPP, "--detector", network, "--parquet", out)
    assert result.exit_code == 0, result.output
    table = pq.read_table(out)
    assert table.num_rows == len(PLACES)
    found = np.stack([table["y_px"].to_numpy(), table["x_px"].to_numpy()], -1)
    away = np.hypot(*(found[:, None] - (np.array(PLACES) + 30.5)).transpose(2, 0, 1))
    assert away.min(0).max() < 1
    assert np.median(table["area_um2"].to_numpy()) == pytest.approx(
        np.pi * 16, rel=0.25
    )
    told = made_of(table)["detector"]
    assert told["name"] == "blobs"
    assert told["sha256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    assert told["um_per_px"] in (0.25, 0.5)


def test_a_score_by_it_says_so_also_from_other_processes(drawn, network, tmp_path):
    out = tmp_path / "scores.csv"
    options = "--mpp", MPP, "--csv", out, "--force", "--processes", 2
    result = run("score", drawn, drawn, "--detector", network, *options)
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    for row in rows:
        assert 0 < int(row["n_cells"]) <= len(PLACES)
        assert "nuclei by blobs (sha256 " in row["reason"]


def test_another_detector_is_another_reading(drawn, network, tmp_path):
    with open_slide(drawn) as slide:
        known = slide.with_mpp(MPP)
        stores = [
            CellStore(tmp_path, known, Stain.IHC, StainingLimits(), detector)
            for detector in (None, load_detector(network))
        ]
        plain = reading_record(known, look_at(known, Stain.IHC), StainingLimits())
    keys = [key_of(store.made) for store in stores]
    assert keys[0] == key_of(plain)
    assert keys[0] != keys[1]
    assert json.dumps(stores[1].made["detector"])


def test_labels_of_another_scale_keep_their_places_and_lose_their_gaps():
    labels = np.zeros((40, 80), np.int32)
    labels[4:20, 8:24], labels[20:36, 40:56], labels[0, 0] = 7, 900, 5
    found = at_scale(labels, (20, 40), 0.5)
    assert set(np.unique(found)) == {0, 1, 2}
    assert (found[2:10, 4:12] == 1).all()
    assert (found[10:18, 20:28] == 2).all()
    assert (found > 0).sum() == 128


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("shape", r"it gave \(8, 9\), not labels"),
        ("shares", "it gave no labels"),
        ("product", "it failed on a picture"),
    ],
)
def test_a_network_that_finds_no_nuclei_is_named(tmp_path, kind, says):
    detector = load_detector(write(tmp_path / "odd.pt", Faulty(kind)))
    image = np.random.default_rng(0).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    with pytest.raises(BundleError, match=says):
        detector.find(image)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no such file"):
        load_detector(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(BundleError, match="no TorchScript"):
        load_detector(tmp_path / "text.pt")
    scaleless = write(tmp_path / "scaleless.pt", Scaleless())
    with pytest.raises(BundleError, match="pixel_size is None"):
        load_detector(scaleless)


@pytest.mark.parametrize("command", ["score", "cells"])
def test_a_missing_detector_ends_a_command_before_it_reads(drawn, tmp_path, command):
    out = tmp_path / "a.csv"
    result = run(command, drawn, "--detector", tmp_path / "none.pt", "--csv", out)
    assert isinstance(result.exception, BundleError)
    assert not out.exists()
