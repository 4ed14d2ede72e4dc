"""Boxes and maps keep their unit and come back as they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.geometry import Affine, BoxPx, BoxUm

pixels = st.integers(-1_000_000, 1_000_000)
boxes = st.builds(BoxPx, pixels, pixels, pixels, pixels)
full_boxes = boxes.filter(lambda box: not box.is_empty)
scales = st.floats(0.05, 20)
points = st.lists(
    st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1, max_size=5
)


@st.composite
def affines(draw) -> Affine:
    """Rotations, flips, shears and scales that a pair of slides can have."""
    angle, shear = draw(st.floats(0, 7)), draw(st.floats(-1, 1))
    sy, sx = draw(scales), draw(scales) * draw(st.sampled_from([1, -1]))
    ty, tx = draw(st.floats(-1e5, 1e5)), draw(st.floats(-1e5, 1e5))
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ [[sy, shear], [0, sx]]
    return Affine.from_matrix(np.column_stack([linear, (ty, tx)]))


@given(full_boxes)
def test_a_box_written_as_text_is_read_back(box):
    assert BoxPx.parse(",".join(map(str, box.as_tuple()))) == box


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,1.5,2"])
def test_text_that_is_no_box_is_refused(text):
    with pytest.raises(ValueError, match="four integers"):
        BoxPx.parse(text)


@pytest.mark.parametrize("text", ["0,0,0,5", "5,5,1,9", "0,0,5,0"])
def test_an_empty_region_is_refused(text):
    with pytest.raises(ValueError, match="empty"):
        BoxPx.parse(text)


@given(boxes)
def test_height_width_and_area_belong_together(box):
    assert box.shape == (box.height, box.width)
    assert box.area == box.height * box.width >= 0
    assert box.is_empty == (box.y1 <= box.y0 or box.x1 <= box.x0)


@given(boxes, boxes)
def test_the_common_part_lies_in_both(a, b):
    common = a.intersect(b)
    assert common == b.intersect(a)
    assert common.area <= min(a.area, b.area)
    assert common.intersect(a) == common
    assert a.intersect(a) == a


@given(full_boxes, st.integers(0, 5000))
def test_padding_is_undone_by_its_opposite(box, margin_px):
    grown = box.padded(margin_px)
    assert grown.shape == (box.height + 2 * margin_px, box.width + 2 * margin_px)
    assert grown.padded(-margin_px) == box
    assert grown.intersect(box) == box
    assert grown.center == box.center


@given(full_boxes, scales)
def test_a_box_survives_micrometres(box, mpp):
    assert box.to_um(mpp).to_px(mpp) == box


@given(full_boxes, scales, scales)
def test_a_box_on_another_scale_covers_the_same_tissue(box, mpp, other_mpp):
    area_um = box.to_um(mpp)
    back = area_um.to_px(other_mpp).to_um(other_mpp)
    slack = 2e-3 * other_mpp
    assert back.y0 <= area_um.y0 + slack
    assert back.x0 <= area_um.x0 + slack
    assert back.y1 >= area_um.y1 - slack
    assert back.x1 >= area_um.x1 - slack


def test_micrometres_are_pixels_times_scale():
    assert BoxPx(0, 10, 20, 40).to_um(0.5) == BoxUm(0, 5, 10, 20)
    assert BoxUm(0.1, 0.6, 1.0, 1.1).to_px(0.5) == BoxPx(0, 1, 2, 3)


def test_corners_go_round_from_the_top_left():
    box = BoxPx.of_shape((3, 5, 3))
    assert box == BoxPx(0, 0, 3, 5)
    assert box.corners_yx().tolist() == [[0, 0], [0, 5], [3, 5], [3, 0]]


@given(affines(), points)
def test_a_map_and_its_inverse_bring_points_back(affine, yx):
    back = affine.inverse().apply(affine.apply(yx))
    np.testing.assert_allclose(back, yx, rtol=1e-6, atol=1e-3)


@given(affines(), affines(), points)
def test_then_applies_this_one_first(first, second, yx):
    np.testing.assert_allclose(
        first.then(second).apply(yx), second.apply(first.apply(yx)), atol=1e-3
    )


@given(affines())
def test_the_identity_changes_no_map(affine):
    assert Affine().is_identity
    assert affine.then(Affine()) == affine
    assert Affine().then(affine) == affine
    assert Affine.from_matrix(affine.matrix) == affine


@given(scales, affines())
def test_scaling_scales_areas(factor, affine):
    assert Affine.scaling(factor).mean_scale == pytest.approx(factor)
    both = affine.then(Affine.scaling(factor))
    assert both.mean_scale == pytest.approx(affine.mean_scale * factor)


@given(st.floats(1e-6, 1e6))
def test_far_scales_can_be_inverted(factor):
    scaled = Affine.scaling(factor).then(Affine()).inverse()
    assert scaled.apply([factor, 0]) == pytest.approx([1, 0])


def test_points_keep_their_shape():
    shift = Affine(((1.0, 0.0, 2.0), (0.0, 1.0, -3.0)))
    assert shift.apply([1, 1]).tolist() == [3, -2]
    assert shift.apply(np.zeros((4, 3, 2))).shape == (4, 3, 2)


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        (np.eye(2), "2x3 or 3x3"),
        (np.eye(4), "2x3 or 3x3"),
        ([[1, 0, math.nan], [0, 1, 0]], "not finite"),
        ([[1, 0, math.inf], [0, 1, 0]], "not finite"),
        ([[1, 2, 0], [2, 4, 0]], "inverted"),
        (np.zeros((2, 3)), "inverted"),
        ([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]], "last row"),
    ],
)
def test_what_is_no_affine_map_is_refused(matrix, problem):
    with pytest.raises(ValueError, match=problem):
        Affine.from_matrix(matrix)
