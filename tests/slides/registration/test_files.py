import json

import numpy as np
import pytest
from tests.slides.registration.sections import turned

from napari_her2.core.errors import CaseError, StorageError
from napari_her2.core.registration import Registration, RegistrationError
from napari_her2.core.transform import Transform, Warp
from napari_her2.slides.registration.files import (
    RegistrationFile,
    read_registration,
    write_registration,
)

KNOTS = np.random.default_rng(0).uniform(-9, 9, (6, 6, 2))
FILE = RegistrationFile(
    Registration(
        Transform("he", "ihc", (Warp((0.0, 0.0), 200.0, KNOTS), turned(30))),
        RegistrationError(3.0, 9.0, 40, 100, 2.0),
        "automatic",
    ),
    he_mpp=0.25,
    ihc_mpp=0.5,
)


def test_a_registration_is_read_back(tmp_path):
    path = tmp_path / "transform.json"
    write_registration(FILE, path)
    back = read_registration(path)
    points = [[100.0, 2000.0], [3000.0, 40.0]]
    np.testing.assert_allclose(back.warp_px(points), FILE.warp_px(points), atol=0.01)
    expected = FILE.registration.transform.apply(np.array(points) * 0.25) / 0.5
    np.testing.assert_allclose(FILE.warp_px(points), expected)
    assert back.registration.error == FILE.registration.error
    assert [each.name for each in tmp_path.iterdir()] == ["transform.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "napari-her2/case/1"},
        {"he_mpp": 0},
        {"ihc_mpp": "0.5"},
        {"transform": None},
        {"error": 3},
        {"method": 3},
    ],
)
def test_a_broken_file_is_refused(tmp_path, change):
    path = tmp_path / "transform.json"
    write_registration(FILE, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CaseError, match="is no registration"):
        read_registration(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "transform.json"
    path.write_text(text)
    with pytest.raises(CaseError, match="is no registration"):
        read_registration(path)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        write_registration(FILE, tmp_path / "none" / "transform.json")
    with pytest.raises(CaseError, match="cannot be read"):
        read_registration(tmp_path / "none.json")
