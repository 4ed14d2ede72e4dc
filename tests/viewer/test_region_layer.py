from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.viewer.placement import Placement
from napari_her2.viewer.region_layer import RegionLayer, next_name, square_mm_box


@pytest.fixture
def drawn():
    return []


@pytest.fixture
def regions(drawn):
    viewer = ViewerModel()
    layer = RegionLayer(
        viewer,
        Placement(0.5, 0.5, is_measured=True),
        "case",
        drawn.append,
        lambda sentence: drawn.append(sentence),
    )
    layer.viewer = viewer
    return layer


BOX = np.array([[0, 0], [0, 10], [20, 10], [20, 0]], float)


def test_a_drawn_shape_becomes_a_named_region_in_pixels(regions, drawn):
    regions.layer.add_rectangles([BOX])
    assert [region.name for region in drawn[-1]] == ["Region 1"]
    assert drawn[-1][0].bounds == BoxPx(0, 0, 20, 10)
    assert list(regions.layer.features["region_id"]) == [drawn[-1][0].region_id]


def test_a_region_keeps_its_id_when_it_moves_and_another_is_added(regions, drawn):
    regions.layer.add_rectangles([BOX])
    regions.show(drawn[-1])
    first = drawn[-1][0].region_id
    regions.layer.add_polygons([BOX[:3] + 50])
    regions.show(drawn[-1])
    assert drawn[-1][0].region_id == first
    assert drawn[-1][1].name == "Region 2"
    regions.layer.selected_data = {0}
    regions.layer.remove_selected()
    assert [region.name for region in drawn[-1]] == ["Region 2"]


def test_the_sessions_regions_are_drawn_without_telling_it_back(regions, drawn):
    shown = (
        Region.from_box("a", "A", BoxPx(0, 0, 10, 20)),
        Region.from_points("b", "B", [(0, 0), (0, 9), (9, 0)]),
    )
    regions.show(shown)
    assert regions.layer.shape_type == ["rectangle", "polygon"]
    assert list(regions.layer.features["region_id"]) == ["a", "b"]
    assert drawn == []


def test_an_ellipse_becomes_its_polygon(regions, drawn):
    regions.layer.add_ellipses([BOX])
    area = drawn[-1][0].area_px
    assert area == pytest.approx(np.pi * 10 * 5, rel=0.01)


def test_a_line_is_refused_in_words(regions, drawn):
    regions.layer.add_lines([np.array([[0, 0], [5, 5]], float)])
    assert drawn[0] == (
        "This shape is no region: region 'Region 1' needs at least three corners."
    )


def test_one_square_millimetre_has_its_size():
    box = square_mm_box((5000.0, 6000.0), 0.25)
    assert box.shape == (4000, 4000)
    assert box.center == (5000, 6000)


def test_names_fill_gaps():
    assert next_name({"Region 1", "Region 3"}) == "Region 2"


def test_an_area_that_is_excluded_is_shaded_and_the_next_is_a_region_again(
    regions, drawn
):
    regions.start_rectangle(is_excluded=True)
    regions.layer.add_rectangles([BOX])
    regions.show(drawn[-1])
    assert regions.end_one_shot()
    (area,) = drawn[-1]
    assert (area.name, area.is_excluded) == ("Excluded 1", True)
    assert 0 < regions.layer.face_color[0][3] < 1
    regions.layer.add_rectangles([BOX + 50])
    regions.show(drawn[-1])
    assert [one.is_excluded for one in drawn[-1]] == [True, False]
    assert [one.name for one in drawn[-1]] == ["Excluded 1", "Region 1"]
    assert regions.layer.face_color[1][3] == 0
    assert list(regions.layer.text.values) == ["Excluded 1", "Region 1"]


def test_a_new_name_and_an_exclusion_are_shown_without_a_new_shape(regions, drawn):
    region = Region.from_box("a", "A", BoxPx(0, 0, 10, 20))
    regions.show((region,))
    regions.show((replace(region, name="Nest", is_excluded=True),))
    assert list(regions.layer.text.values) == ["Nest"]
    assert regions.layer.face_color[0][3] > 0
    assert len(regions.layer.data) == 1
    assert drawn == []
