import csv
import json

import imagecodecs
import numpy as np
import pytest
from tests.slides.registration.sections import MPP, pair_images, turned
from typer.testing import CliRunner

from napari_her2.cli.commands import commands
from napari_her2.core.errors import UsageError
from napari_her2.core.registration import Registration, RegistrationError
from napari_her2.slides.registration import register as registering
from napari_her2.slides.registration.files import (
    RegistrationFile,
    read_registration,
    write_registration,
)


@pytest.fixture
def transform(tmp_path):
    """A written registration: 0.5 and 0.25 µm/px, turned by 30°."""
    path = tmp_path / "transform.json"
    error = RegistrationError(2.0, 6.0, 90, 100, 3.0)
    made = Registration(
        Registration.of_affine(turned(30), "").transform, error, "automatic"
    )
    write_registration(RegistrationFile(made, 0.5, 0.25), path)
    return path


def call(*arguments):
    result = CliRunner().invoke(commands, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_points_keep_their_header_and_other_columns(tmp_path, transform):
    points, out = tmp_path / "points.csv", tmp_path / "warped.csv"
    points.write_text("id,x,y,note\na,100,40,first\nb,0,0,\n", encoding="utf-8")
    call("warp-points", transform, points, "--out", out)
    with out.open(newline="") as stream:
        header, first, second = csv.reader(stream)
    assert header == ["id", "x", "y", "note"]
    y, x = turned(30).apply((20.0, 50.0)) / 0.25
    assert (first[0], first[3]) == ("a", "first")
    assert [float(first[1]), float(first[2])] == pytest.approx([x, y], abs=1e-3)
    assert second[0] == "b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("x,y\n1\n", "Line 2 of the table holds no point"),
        ("x,y\n1,north\n", "Line 2 of the table holds no point"),
        ("", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_of_points_is_refused(tmp_path, transform, text, problem):
    points = tmp_path / "points.csv"
    points.write_text(text)
    with pytest.raises(UsageError, match=problem):
        call("warp-points", transform, points, "--out", tmp_path / "out.csv")


def test_two_slides_are_registered_and_the_error_is_told(tmp_path, monkeypatch):
    truth = turned(0, 1, (30, -20))
    for name, image in zip(("he", "ihc"), pair_images(1, truth), strict=True):
        (tmp_path / f"{name}.png").write_bytes(imagecodecs.png_encode(image))
    # one orientation is enough here; all of them are tried elsewhere
    monkeypatch.setattr(registering, "KNOWN_SCALES", (1.0,))
    out = tmp_path / "transform.json"
    result = call(
        "register", tmp_path / "he.png", tmp_path / "ihc.png", "--out", out,
        "--mpp-he", MPP, "--mpp-ihc", MPP,
    )  # fmt: skip
    assert "green: error" in result.stderr
    found = read_registration(out)
    points = np.array([[800.0, 1000.0], [1000.0, 1300.0]])
    there = found.registration.transform.apply(points)
    np.testing.assert_allclose(there, truth.apply(points), atol=4)
    fields = json.loads(out.read_text())
    assert (fields["transform"]["from"], fields["transform"]["to"]) == ("he", "ihc")
    assert (fields["he_mpp"], fields["scale_known"]) == (MPP, True)
