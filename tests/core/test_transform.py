import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import Affine, BoxUm
from napari_her2.core.registration import (
    NOT_REGISTERED,
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.core.transform import Transform, Warp

numbers = st.floats(-500, 500, allow_nan=False)
seeds = st.integers(0, 2**31)


def warp(seed, spacing=100.0, push=12.0):
    rng = np.random.default_rng(seed)
    return Warp((0.0, 0.0), spacing, rng.uniform(-push, push, (9, 7, 2)))


def affine(seed):
    rng = np.random.default_rng(seed)
    linear = np.eye(2) + rng.uniform(-0.4, 0.4, (2, 2))
    return Affine.from_matrix(np.column_stack([linear, rng.uniform(-300, 300, 2)]))


def transform(seed):
    return Transform("he", "ihc", (warp(seed), affine(seed)))


@given(seeds, numbers, numbers)
def test_the_inverse_leads_back(seed, y, x):
    there = transform(seed)
    back = there.inverse().apply(there.apply([[y, x]]))
    np.testing.assert_allclose(back, [[y, x]], atol=1e-4)


@given(seeds)
def test_composition_applies_one_after_the_other(seed):
    first, second = transform(seed), transform(seed + 1).inverse()
    points = np.random.default_rng(seed).uniform(-200, 800, (5, 2))
    whole = first.then(second)
    assert (whole.source, whole.target) == ("he", "he")
    np.testing.assert_allclose(
        whole.apply(points), second.apply(first.apply(points)), atol=1e-9
    )


def test_neighbouring_affine_steps_become_one():
    first, second = affine(1), affine(2)
    whole = Transform("a", "b", (first,)).then(Transform("b", "c", (second,)))
    assert whole.steps == (first.then(second),)
    assert whole.affine == first.then(second)
    assert transform(1).affine is None


def test_transforms_that_do_not_meet_are_refused():
    with pytest.raises(UsageError, match="to ihc cannot go before one from he"):
        transform(1).then(transform(2))


@given(seeds)
def test_json_keeps_a_transform(seed):
    before = transform(seed)
    after = Transform.from_json(json.loads(json.dumps(before.to_json())))
    points = np.random.default_rng(seed).uniform(0, 700, (20, 2))
    np.testing.assert_allclose(after.apply(points), before.apply(points), atol=2e-3)
    assert after.to_json() == before.to_json()


@given(seeds)
def test_a_warp_is_what_its_json_says(seed):
    before = warp(seed)
    whole = Transform("he", "ihc", (before,))
    (after,) = Transform.from_json(json.loads(json.dumps(whole.to_json()))).steps
    assert after == before
    np.testing.assert_array_equal(after.knots_um, before.knots_um)
    assert before.inverse().inverse() == before


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "other"},
        {"unit": "px"},
        {"axes": "xy"},
        {"from": ""},
        {"extra": 1},
        {"steps": "none"},
        {"steps": [{}]},
        {"steps": [{"affine": [[1, 0, 0], [1, 0, 0]]}]},
        {"steps": [{"affine": "identity"}]},
        {"steps": [{"affine": None}]},
        {"steps": [{"warp": {"origin_um": [0, 0]}}]},
    ],
)
def test_broken_json_is_refused(change):
    with pytest.raises(ValueError, match=r"its|step|affine|unknown|it does"):
        Transform.from_json({**transform(1).to_json(), **change})


@pytest.mark.parametrize("key", ["origin_um", "spacing_um", "knots_um", "inverted"])
def test_a_broken_warp_is_refused(key):
    fields = transform(1).to_json()
    fields["steps"][0]["warp"][key] = "broken"
    with pytest.raises(ValueError, match="warp"):
        Transform.from_json(fields)


def test_a_warp_that_folds_is_refused():
    knots = np.zeros((5, 5, 2))
    knots[2, 2] = 150
    with pytest.raises(ValueError, match="folds"):
        Warp((0.0, 0.0), 100.0, knots)
    with pytest.raises(ValueError, match="not finite"):
        Warp((0.0, 0.0), 100.0, np.full((5, 5, 2), np.nan))
    with pytest.raises(ValueError, match="knots"):
        Warp((0.0, 0.0), 100.0, np.zeros((3, 5, 2)))


def test_a_constant_warp_is_a_shift_everywhere():
    shift = Warp((0.0, 0.0), 50.0, np.full((4, 4, 2), 7.0))
    np.testing.assert_allclose(
        shift.apply([[-900.0, 20], [70, 9000]]), [[-893, 27], [77, 9007]]
    )


@given(seeds)
def test_a_box_holds_all_that_was_in_it(seed):
    there = transform(seed)
    box = there.box(BoxUm(50, 80, 420, 510))
    rng = np.random.default_rng(seed)
    inside = there.apply(rng.uniform((50, 80), (420, 510), (200, 2)))
    assert (inside >= np.array([box.y0, box.x0]) - 0.5).all()
    assert (inside <= np.array([box.y1, box.x1]) + 0.5).all()


def test_the_nearest_affine_map_differs_by_no_more_than_the_bend():
    there = transform(3)
    near = there.nearest_affine(BoxUm(0, 0, 600, 400))
    points = np.random.default_rng(0).uniform((0, 0), (600, 400), (100, 2))
    apart = np.linalg.norm(near.apply(points) - there.apply(points), axis=1)
    assert 0.1 < apart.max() < 40
    assert Transform("a", "b", (affine(1),)).nearest_affine(
        BoxUm(0, 0, 1, 1)
    ) == affine(1)


@pytest.mark.parametrize(
    ("median", "p90", "found", "chance", "light"),
    [
        (4, 20, 30, 2, Light.GREEN),
        (4, 26, 30, 2, Light.AMBER),
        (4, 101, 30, 2, Light.RED),
        (4, 20, 13, 4, Light.RED),
        (float("nan"), float("nan"), 0, 0, Light.RED),
        (4, 20, 5, 0, Light.RED),
        (4, 20, 3, None, Light.GREEN),
        (float("nan"), float("nan"), 30, None, Light.RED),
    ],
)
def test_lights(median, p90, found, chance, light):
    error = RegistrationError(median, p90, found, 100, chance)
    assert error.light(ErrorLimits()) is light


def test_too_little_tissue_is_never_green_nor_red():
    for p90 in (1.0, 500.0, float("nan")):
        error = RegistrationError(p90, p90, 5, 6, 0.1)
        assert error.light(ErrorLimits()) is Light.AMBER
        assert "too little tissue" in error.sentence()


def test_a_registration_survives_json():
    error = RegistrationError(4.5, 20.25, 30, 100, 2.5)
    for made in (
        Registration(transform(2), error, "automatic"),
        Registration(transform(2), RegistrationError(*[float("nan")] * 2, 0, 9), "x"),
        NOT_REGISTERED,
    ):
        fields = json.loads(json.dumps(made.to_json(), allow_nan=False))
        assert Registration.from_json(fields).to_json() == made.to_json()


@pytest.mark.parametrize(
    "error", [{}, {"median_um": "4"}, "none", {"n_found": 5, "n_looked": 3}]
)
def test_a_broken_error_is_refused(error):
    whole = {"median_um": 1, "p90_um": 2, "n_found": 1, "n_looked": 3, "n_chance": 0}
    if isinstance(error, dict) and error:
        error = {**whole, **error}
    fields = {**NOT_REGISTERED.to_json(), "error": error}
    with pytest.raises(ValueError, match="error"):
        Registration.from_json(fields)
