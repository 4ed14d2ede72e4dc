import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.inference.grid import TileGrid, useful_share

grids = st.builds(
    TileGrid,
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    slide_mpp=st.floats(0.2, 0.74),
    model_mpp=st.just(0.5),
    core_px=st.integers(96, 400),
    halo_px=st.integers(0, 64),
)


@st.composite
def grids_with_boxes(draw, n=2):
    grid = draw(grids)
    height, width = grid.slide_shape
    boxes = []
    for _ in range(n):
        y0, x0 = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        y1, x1 = draw(st.integers(y0 + 1, height)), draw(st.integers(x0 + 1, width))
        boxes.append(BoxPx(y0, x0, y1, x1))
    return grid, *boxes


@given(grids)
def test_tiles_partition_the_slide(grid):
    for edges, side in zip(
        (grid.row_edges, grid.col_edges), grid.slide_shape, strict=True
    ):
        assert edges[0] == 0
        assert edges[-1] == side
        assert (np.diff(edges) > 0).all()
    every = grid.tiles_in(BoxPx.of_shape(grid.slide_shape))
    assert len(every) == grid.n_rows * grid.n_cols
    area = sum(grid.core_box_px(*tile).area for tile in every)
    assert area == grid.slide_shape[0] * grid.slide_shape[1]


@given(grids_with_boxes())
def test_boxes_that_share_a_pixel_share_its_tile(drawn):
    grid, one, other = drawn
    common = one.intersect(other)
    shared = set(grid.tiles_in(one)) & set(grid.tiles_in(other))
    assert set(grid.tiles_in(common)) <= shared
    if not common.is_empty:
        assert shared


@given(grids_with_boxes(1))
def test_tiles_of_a_box_are_those_that_meet_it(drawn):
    grid, box = drawn
    every = grid.tiles_in(BoxPx.of_shape(grid.slide_shape))
    meeting = [t for t in every if not grid.core_box_px(*t).intersect(box).is_empty]
    assert grid.tiles_in(box) == meeting
    assert grid.tiles_in(Region.from_box("r", "box", box)) == meeting


@given(grids_with_boxes(1), st.floats(-100, 4000), st.floats(-100, 4000))
def test_order_is_a_permutation_by_distance(drawn, y, x):
    grid, box = drawn
    tiles = grid.tiles_in(box)
    ordered = grid.nearest_first(tiles, (y, x))
    assert sorted(ordered) == tiles
    far = [
        np.hypot(*np.subtract(grid.core_box_px(*tile).center, (y, x)))
        for tile in ordered
    ]
    assert (np.diff(far) >= -1e-6).all()


@given(grids)
def test_model_pixels_cover_the_slide_and_no_tile_more(grid):
    for model, side, count in zip(
        grid.model_shape, grid.slide_shape, (grid.n_rows, grid.n_cols), strict=True
    ):
        assert (count - 1) * grid.core_px < model <= count * grid.core_px
        assert abs(model * grid.px_per_model_px - side) <= 1 + grid.px_per_model_px


def test_mapping_comes_from_absolute_indices():
    grid = TileGrid((5000, 5000), 0.23, 0.5, 704, 64)
    mapping = grid.to_level0(2, 3)
    first = np.array([2 * 704 - 64, 3 * 704 - 64]) * (0.5 / 0.23)
    np.testing.assert_array_equal(mapping.apply([0, 0]), first)
    core = mapping.apply([64, 64])
    np.testing.assert_allclose(core, grid.core_box_px(2, 3).corners_yx()[0], atol=0.5)


def test_a_polygon_takes_only_the_tiles_it_covers():
    grid = TileGrid((400, 400), 0.5, 0.5, 100, 0)
    corner = Region("r", "corner", ((0, 0), (0, 190), (190, 0)))
    assert grid.tiles_in(corner) == [(0, 0), (0, 1), (1, 0)]
    assert grid.tiles_in(BoxPx(500, 0, 600, 10)) == []


def test_demo_geometry_keeps_seven_tenths():
    assert useful_share(704, 64) >= 0.7
