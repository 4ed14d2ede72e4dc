import csv
import math

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_her2.cli.commands import commands
from napari_her2.core.score import Stain
from napari_her2.inference.screening import scale_note, screen_file


class Measured:
    """Stands in for a familiarity that always finds the same distance."""

    def __init__(self, distance):
        self.answer = distance

    def of_windows(self, stain, px, features, tissue):
        assert len(features) == len(tissue) > 0
        return self.answer


@pytest.fixture
def pink(tmp_path):
    rng = np.random.default_rng(1)
    image = np.clip(rng.normal((190, 110, 170), 20, (300, 280, 3)), 0, 255)
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / "pink.png")
    return tmp_path / "pink.png"


def test_the_threshold_decides(pink):
    known = screen_file(pink, Stain.HE, Measured(0.9), 0.5)
    assert (known.abstained, known.reason, known.distance) == (False, "", 0.9)
    strange = screen_file(pink, Stain.HE, Measured(1.1), 0.5)
    assert strange.abstained
    assert strange.reason.startswith("unfamiliar tissue or stain")


@pytest.mark.parametrize(
    ("side", "grey", "mpp", "reason"),
    [
        (256, 245, None, "no tissue"),
        (90, 120, None, "too small"),
        (256, 120, 10.0, "too coarse"),
    ],
)
def test_quality_comes_first(tmp_path, side, grey, mpp, reason):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(path)
    found = screen_file(path, None, Measured(0.1), 0.5, mpp)
    assert found.abstained
    assert reason in found.reason
    assert math.isnan(found.distance)


def test_h_and_e_given_as_ihc_is_told(pink):
    image = np.array(Image.open(pink)) // 8 + np.array((170, 95, 160), np.uint8)
    image[:100] = 245
    Image.fromarray(image).save(pink)
    found = screen_file(pink, Stain.IHC, Measured(0.1), 0.5)
    assert found.abstained
    assert "stain not as declared" in found.reason


def test_one_broken_image_never_stops_the_rest(tmp_path, pink):
    broken = tmp_path / "broken.png"
    broken.write_bytes(pink.read_bytes()[:300])
    missing, table = tmp_path / "gone.png", tmp_path / "out" / "table.csv"
    images = [str(path) for path in (broken, missing, pink)]
    result = CliRunner().invoke(commands, ["screen", *images, "--csv", str(table)])
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert list(rows[0]) == ["image", "abstained", "reason", "distance"]
    assert [row["image"] for row in rows] == images
    assert [row["abstained"] for row in rows[:2]] == ["true", "true"]
    assert all("unreadable" in row["reason"] for row in rows[:2])


def test_an_assumed_scale_is_said(pink):
    assert "0.5 µm/px" in scale_note(pink, None, 0.5)
    assert scale_note(pink, 0.4, 0.5) == ""
