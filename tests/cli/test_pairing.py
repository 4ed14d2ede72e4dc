from dataclasses import replace

import pytest

from napari_her2.cli import pairing
from napari_her2.cli.pairing import refuse_apart, settled
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.errors import NotReadyError, UsageError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.region import Region
from napari_her2.core.registration import (
    NOT_REGISTERED,
    Registration,
    RegistrationError,
)
from napari_her2.slides.case import read_case
from napari_her2.slides.pair import open_pair
from napari_her2.slides.registration.files import (
    RegistrationFile,
    write_registration,
)

SHIFT = Affine(((1.0, 0.0, 5.0), (0.0, 1.0, 3.0)))
GOOD = RegistrationError(2.0, 6.0, 90, 100, 3.0)
BAD = RegistrationError(80.0, 140.0, 90, 100, 3.0)


def found(error):
    return replace(Registration.of_affine(SHIFT, "automatic"), error=error)


@pytest.fixture
def pair(virtual_case):
    with open_pair(read_case(virtual_case)) as opened:
        yield opened


@pytest.fixture
def finds(monkeypatch):
    """Have slides register as a test says."""

    def make(error):
        monkeypatch.setattr(
            pairing,
            "follow_registration",
            lambda he, ihc: RegistrationFile(found(error), he.mpp, ihc.mpp),
        )

    return make


def test_what_the_case_says_is_taken(pair, monkeypatch):
    monkeypatch.setattr(pairing, "follow_registration", None)
    assert settled(pair, None) == pair


def test_slides_that_nobody_registered_are_registered(pair, finds):
    loose = replace(pair, registration=NOT_REGISTERED)
    finds(GOOD)
    assert settled(loose, None).registration == found(GOOD)
    finds(BAD)
    with pytest.raises(NotReadyError, match="do not lie on each other"):
        settled(loose, None)


def test_one_slide_needs_no_registration(pair, monkeypatch):
    monkeypatch.setattr(pairing, "follow_registration", None)
    alone = replace(pair, ihc=None, registration=NOT_REGISTERED)
    assert settled(alone, None) == alone


def test_a_file_stands_above_the_case_where_its_scales_fit(pair, tmp_path):
    path = tmp_path / "transform.json"
    write_registration(RegistrationFile(found(GOOD), 0.5, 0.5), path)
    assert settled(pair, path).registration.to_json() == found(GOOD).to_json()
    write_registration(RegistrationFile(found(GOOD), 0.5, 0.25), path)
    with pytest.raises(UsageError, match=r"made at 0\.25 µm/px"):
        settled(pair, path)
    write_registration(RegistrationFile(found(GOOD), 0.5, 0.5, False), path)
    with pytest.raises(UsageError, match="Register these slides again"):
        settled(pair, path)


def test_a_region_where_they_lie_apart_is_refused(pair):
    cells = (ErrorCell(0, 0, 1.0, 3.0), ErrorCell(0, 1, 1.0, 160.0))
    error = replace(GOOD, local=ErrorMap((0.0, 0.0), 100.0, cells))
    pair = replace(pair, registration=found(error))
    um = round(1 / pair.he.mpp)
    refuse_apart(pair, Region.from_box("r", "Region", BoxPx(0, 0, 90 * um, 90 * um)))
    with pytest.raises(NotReadyError, match="160 µm apart"):
        refuse_apart(
            pair, Region.from_box("r", "Region", BoxPx(0, 110 * um, 90 * um, 150 * um))
        )
