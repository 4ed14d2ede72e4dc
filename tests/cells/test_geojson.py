import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.cells.geojson import crossing_of, read_area
from napari_her2.cells.tumour_area import Outline, TumourArea
from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region

BIG = [[0, 0], [100, 0], [100, 80], [0, 80], [0, 0]]
HOLE = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]
ISLAND = [[15, 15], [25, 15], [25, 25], [15, 25], [15, 15]]
BOW = [[0, 0], [100, 80], [100, 0], [0, 80], [0, 0]]


def feature(*rings, name=None, **properties):
    if name is not None:
        properties["classification"] = {"name": name, "color": [1, 2, 3]}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
        "properties": properties,
    }


@pytest.fixture
def read(tmp_path):
    def of(content):
        path = tmp_path / "a.geojson"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_area(path)

    return of


def inside(area, *points_xy):
    return area.contains(np.array(points_xy, float)[:, ::-1]).tolist()


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [feature(BIG)]},
        [feature(BIG, name="Tumor")],
        feature(BIG, name="Invasive carcinoma"),
        {"type": "Polygon", "coordinates": [BIG]},
        {"type": "MultiPolygon", "coordinates": [[BIG]]},
        {
            "type": "Feature",
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [{"type": "Polygon", "coordinates": [BIG]}],
            },
            "properties": None,
        },
    ],
)
def test_every_form_is_read_as_x_then_y(read, content):
    area = read(content)
    assert area.bounds == BoxPx(0, 0, 80, 100)
    assert inside(area, (95, 5), (5, 95), (50, 40)) == [True, False, True]


def test_holes_belong_to_their_polygon(read):
    area = read([feature(BIG, HOLE), feature(ISLAND)])
    assert inside(area, (12, 12), (20, 20), (60, 40)) == [False, True, True]


@pytest.mark.parametrize(
    "other",
    [
        feature(HOLE, name="Ignore*"),
        feature(HOLE, name="Carcinoma in situ"),
        feature(HOLE, name="Stroma"),
        feature(HOLE, excluded=True),
        feature(HOLE, classification="Necrosis"),
        feature(HOLE, classification={"names": ["Other"]}),
    ],
)
def test_what_is_left_out_is_taken_off(read, other):
    area = read([other, feature(BIG)])
    assert inside(area, (20, 20), (60, 40)) == [False, True]


def test_points_lines_and_detected_cells_do_not_count(read):
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}
    cell = feature(HOLE, name="Positive", objectType="cell")
    assert len(read([point, cell, feature(BIG)]).drawn) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "no GeoJSON"),
        ("[" * 100_000, "no GeoJSON"),
        ("3", "no GeoJSON"),
        ([feature(BIG, name="Positive")], "class 'Positive'"),
        ([feature(BIG, name="Ignore*")], "no outline of invasive tumour"),
        ([], "no outline of invasive tumour"),
        ([feature(BOW)], "feature 1 crosses itself near x 50, y 40"),
        ([feature(BIG, BOW)], "crosses itself"),
        ([feature([[0, 0], [5, 5], [0, 0]])], "feature 1 has no area"),
        ([feature([[0, 0], [5, "a"], [0, 9]])], "feature 1 has no area"),
        ([feature([[0, 0], [5, float("nan")], [0, 9]])], "feature 1 has no area"),
        ([feature()], "feature 1 has no area"),
        ([{"type": "Feature", "geometry": None}], "no geometry that is known"),
        ([feature(BIG) | {"properties": [1]}], "no properties"),
    ],
)
def test_what_cannot_be_used_is_named(read, content, says):
    with pytest.raises(UsageError, match="regions cannot be used") as refused:
        read(content)
    assert says in refused.value.problem


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="no file of regions"):
        read_area(tmp_path / "none.geojson")


def test_an_area_reaches_into_every_box_it_overlaps():
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 100, (3, 2)).tolist()
    edge = Region.from_points("r", "r", corners)
    area = TumourArea((Outline(edge),))
    boxes = [
        BoxPx(y, x, y + 7, x + 7) for y in range(0, 98, 7) for x in range(0, 98, 7)
    ]
    overlaps = np.array([area.overlap_px(box) > 0 for box in boxes])
    reached = area.reaches(boxes)
    assert overlaps.any()
    assert reached[overlaps].all()
    assert not area.reaches([BoxPx(200, 0, 300, 100), BoxPx(0, 200, 100, 300)]).any()
    assert TumourArea.from_box(BoxPx(0, 0, 90, 90)).reaches(boxes[:1]).all()
    assert area.reaches([]).shape == (0,)


@given(
    st.integers(5, 200),
    st.floats(0, 6.28),
    st.integers(0, 10**6),
)
def test_a_star_does_not_cross_itself_until_two_corners_change_places(n, turn, seed):
    rng = np.random.default_rng(seed)
    angle = turn + 2 * np.pi * np.arange(n) / n
    away = rng.uniform(20, 100, n)
    star = np.stack([away * np.sin(angle), away * np.cos(angle)], -1)
    assert crossing_of(star) is None
    if n > 5:
        swapped = star.copy()
        swapped[[0, n // 2]] = swapped[[n // 2, 0]]
        assert crossing_of(swapped) is not None
