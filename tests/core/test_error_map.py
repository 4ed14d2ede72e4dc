"""What is known of a part of a section is told by its own squares."""

import json
import math

import pytest

from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.local_light import light_at, shares_by_light
from napari_her2.core.registration import (
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.core.transform import Transform

LIMITS = ErrorLimits()


def box(y0, x0, y1, x1):
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


def row_of(*errors, tissue=1.0):
    cells = [ErrorCell(0, col, tissue, error) for col, error in enumerate(errors)]
    return ErrorMap((-50.0, -50.0), 100.0, tuple(cells))


def test_a_part_is_told_by_the_squares_it_meets():
    local = row_of(2.0, 60.0, None, 150.0)
    assert local.within(box(0, -40, 40, 40)).p90_um == 2.0
    assert local.within(box(0, 160, 40, 240)).is_known is False
    assert local.within(box(0, 260, 40, 340)).p90_um == 150.0
    # half in the first square, half in the second
    both = local.within(box(0, 0, 40, 100))
    assert (both.p90_um, both.checked) == (60.0, 1.0)
    # a third of it is not checked
    most = local.within(box(-50, -50, 50, 250))
    assert most.is_known
    assert most.checked == pytest.approx(2 / 3)


def test_glass_is_not_known():
    found = row_of(2.0).within(box(900, 900, 950, 950))
    assert math.isnan(found.checked)
    assert not found.is_known


def test_little_of_a_square_weighs_little():
    cells = [ErrorCell(0, 0, 1.0, 5.0), ErrorCell(0, 1, 0.05, 300.0)]
    assert ErrorMap((0.0, 0.0), 100.0, tuple(cells)).whole.p90_um == 5.0


def error_with(local, p90=8.0, n_found=90):
    return RegistrationError(3.0, p90, n_found, 100, 3.0, local)


@pytest.mark.parametrize(
    ("errors", "p90", "light"),
    [
        ((2.0, 3.0, 4.0), 8.0, Light.GREEN),
        ((2.0, 3.0, 60.0), 8.0, Light.AMBER),
        ((2.0, 3.0, 160.0), 8.0, Light.RED),
        ((2.0, None), 8.0, Light.GREEN),
        ((2.0, None, None, None), 8.0, Light.AMBER),
        ((2.0, 3.0, 4.0), 60.0, Light.AMBER),
        ((2.0, 3.0, 4.0), 160.0, Light.RED),
    ],
)
def test_green_must_hold_square_by_square(errors, p90, light):
    assert error_with(row_of(*errors), p90).light(LIMITS) is light


def test_squares_have_lights_and_shares():
    error = error_with(row_of(2.0, 60.0, None, 150.0))
    assert shares_by_light(error, LIMITS) == {
        Light.GREEN: 0.25,
        Light.AMBER: 0.25,
        Light.RED: 0.25,
        None: 0.25,
    }
    assert light_at(error, None, LIMITS) is None
    # what was recognised by chance lies near nothing
    assert light_at(error_with(None, n_found=4), 2.0, LIMITS) is Light.RED


def test_a_map_survives_json():
    error = error_with(row_of(2.5, None, 0.0, tissue=0.5))
    made = Registration(Transform("he", "ihc"), error, "automatic")
    fields = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert Registration.from_json(fields) == made


@pytest.mark.parametrize(
    "broken",
    [
        {"cell_um": 0},
        {"origin_um": [1.0]},
        {"cells": [[0, 0, 0.0, 1.0]]},
        {"cells": [[0, -1, 0.5, 1.0]]},
        {"cells": [[0, 0, 0.5, -1.0]]},
        {"cells": [[0, 0, 0.5]]},
        {"cells": [[0, 0, 0.5, 1.0]] * (1 << 15)},
    ],
)
def test_a_broken_map_is_refused(broken):
    fields = error_with(row_of(2.0)).local.to_json() | broken
    with pytest.raises(ValueError, match="map of errors"):
        ErrorMap.from_json(fields)
