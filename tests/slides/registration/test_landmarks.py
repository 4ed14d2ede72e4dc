import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.slides.registration.sections import turned

from napari_her2.core.errors import UsageError
from napari_her2.core.registration import ErrorLimits, Light
from napari_her2.slides.registration.landmarks import (
    fit_landmarks,
    landmark_distances_um,
)

CORNERS = np.array([[100.0, 200], [1500, 300], [700, 2100]])


@given(
    st.floats(-180, 180), st.floats(0.5, 2), st.booleans(), st.sampled_from([3, 5, 8])
)
def test_exact_landmarks_give_the_map_back(deg, scale, mirrored, count):
    truth = turned(deg, scale, (30, -500), mirrored=mirrored)
    points = np.vstack([CORNERS, np.random.default_rng(0).uniform(0, 2000, (5, 2))])
    points = points[:count]
    found = fit_landmarks(points, truth.apply(points))
    np.testing.assert_allclose(
        found.transform.apply(CORNERS), truth.apply(CORNERS), atol=1e-5
    )
    assert found.error.p90_um < 1e-4
    assert found.error.n_found == count
    assert found.error.light(ErrorLimits()) is Light.GREEN
    assert found.method == f"{count} landmarks"


def test_a_wrong_landmark_shows_in_the_error():
    points = np.vstack([CORNERS, CORNERS[::-1] * 0.7])
    target = turned(20).apply(points)
    target[0] += 400
    found = fit_landmarks(points, target)
    assert found.error.light(ErrorLimits()) is Light.RED
    distances = landmark_distances_um(turned_transform(20), points, target)
    assert distances[0] == pytest.approx(400 * np.sqrt(2))
    assert distances[1:].max() < 1e-6


def turned_transform(deg):
    return fit_landmarks(CORNERS, turned(deg).apply(CORNERS)).transform


def test_too_few_or_useless_landmarks_are_refused():
    with pytest.raises(UsageError, match="2 pairs"):
        fit_landmarks(CORNERS[:2], CORNERS[:2])
    with pytest.raises(UsageError, match="one line or on one spot"):
        fit_landmarks(np.zeros((3, 2)), CORNERS)
    line = np.column_stack([np.arange(7.0), np.arange(7.0)])
    with pytest.raises(UsageError, match="one line or on one spot"):
        fit_landmarks(line, line)
