import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region

corners = st.tuples(
    *[st.tuples(st.floats(0, 100), st.floats(0, 100)) for _ in range(3)]
)


def region_of(*points):
    return Region.from_points("r", "a region", points)


def test_a_box_becomes_its_rectangle():
    box = BoxPx(10, 20, 40, 80)
    region = Region.from_box("r", "box", box)
    assert region.bounds == box
    assert region.area_px == box.area
    assert region.overlap_share(BoxPx(10, 0, 30, 40)) == 0.5
    assert region.overlap_px(BoxPx(0, 0, 10, 20)) == 0


def test_concave_polygon():
    u_shape = region_of(
        (0, 0), (0, 10), (10, 10), (10, 7), (3, 7), (3, 3), (10, 3), (10, 0)
    )
    assert u_shape.area_px == 10 * 10 - 7 * 4
    assert u_shape.overlap_px(BoxPx(5, 0, 10, 10)) == 5 * 6
    assert u_shape.overlap_px(BoxPx(4, 4, 8, 6)) == 0


@given(corners)
def test_overlaps_with_a_partition_sum_to_the_area(points):
    try:
        region = region_of(*points)
    except ValueError:
        return
    cells = [
        BoxPx(y, x, y + 30, x + 30) for y in (0, 30, 60, 90) for x in range(0, 120, 30)
    ]
    total = sum(region.overlap_px(cell) for cell in cells)
    np.testing.assert_allclose(total, region.area_px, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([(0, 0), (1, 1)], "three corners"),
        ([(0, 0), (1, 1), (2, 2)], "no area"),
        ([(0, 0), (1, float("nan")), (2, 2)], "not finite"),
    ],
)
def test_nonsense_is_refused(points, problem):
    with pytest.raises(ValueError, match=problem):
        region_of(*points)
