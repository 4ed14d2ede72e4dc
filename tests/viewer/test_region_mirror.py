"""Regions on the canvas beside the slide lie on the same tissue."""

from dataclasses import replace

import numpy as np
import pytest

from napari_her2.app.pairing import Checked
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.region import Region
from napari_her2.core.registration import (
    ErrorLimits,
    Registration,
    RegistrationError,
)
from napari_her2.core.score import Stain
from napari_her2.core.transform import Transform, Warp
from napari_her2.viewer.placement import drawn_off_um, outline_over, slide_to_world
from napari_her2.viewer.region_mirror import RegionMirror
from napari_her2.viewer.roles import Role, find
from napari_her2.viewer.twin import Twin

REGION = Region.from_box("r1", "Region 1", BoxPx(100, 120, 500, 700))


@pytest.fixture
def mirror(open_desk):
    twin = Twin(open_desk.viewer, Role.IHC)
    made = RegionMirror(twin, open_desk.session)
    yield made
    made.close()
    twin.close()


def bent():
    rng = np.random.default_rng(3)
    warp = Warp((0.0, 0.0), 150.0, rng.normal(0, 12, (8, 8, 2)))
    return Transform("he", "ihc", (warp, Affine(((1.0, 0.0, 30.0), (0.0, 1.0, -20.0)))))


def test_an_outline_goes_round_the_same_tissue_where_the_section_bends(open_desk):
    pair = open_desk.session.state.pair
    pair = replace(pair, registration=Registration(bent(), None, "test"))
    drawn = outline_over(REGION, pair, Stain.IHC)
    corners = np.array(REGION.vertices_yx) * pair.he.mpp
    # what the layer shows at a corner of the outline is where the region leads
    to_world = Affine.from_matrix(slide_to_world(pair, Stain.IHC))
    shown = to_world.inverse().apply(drawn)
    for corner in pair.he_to_ihc.apply(corners):
        assert np.linalg.norm(shown - corner, axis=1).min() < 1e-6
    # beside it by the affine map alone
    assert np.linalg.norm(drawn[0] - corners[0]) > 1.0
    np.testing.assert_allclose(outline_over(REGION, pair, Stain.HE), corners)


def test_how_far_the_layer_lies_off_is_told_for_what_is_in_view(open_desk):
    straight = open_desk.session.state.pair
    whole = BoxPx.of_shape(straight.he.shape)
    assert drawn_off_um(straight, whole) == 0.0
    pair = replace(straight, registration=Registration(bent(), None, "test"))
    to_world = Affine.from_matrix(slide_to_world(pair, Stain.IHC))
    corner_um = np.array([[100.0, 120.0]]) * pair.he.mpp
    shown_um = to_world.apply(pair.he_to_ihc.apply(corner_um))
    apart_um = np.linalg.norm(shown_um - corner_um)
    assert drawn_off_um(pair, BoxPx(100, 120, 101, 121)) == pytest.approx(
        apart_um, abs=0.3
    )
    assert drawn_off_um(pair, whole) > apart_um
    assert drawn_off_um(pair, BoxPx(-900, 0, -100, 50)) == 0.0


def test_regions_come_move_and_go(open_desk, mirror, qtbot):
    layers = mirror._twin.model.layers
    assert find(layers, Role.REGIONS) is None
    open_desk.session.set_regions((REGION,))
    qtbot.waitUntil(lambda: find(layers, Role.REGIONS) is not None)
    mpp = open_desk.session.state.pair.he.mpp
    (outline,) = find(layers, Role.REGIONS).data
    np.testing.assert_allclose(outline, np.array(REGION.vertices_yx) * mpp)
    registration = Registration(bent(), None, "test")
    open_desk.session.state.pair = replace(
        open_desk.session.state.pair, registration=registration
    )
    qtbot.waitUntil(lambda: len(find(layers, Role.REGIONS).data[0]) > 4)
    open_desk.session.set_regions(())
    qtbot.waitUntil(lambda: find(layers, Role.REGIONS) is None)
    assert find(layers, Role.IHC) is not None


def test_where_the_slides_lie_apart_no_region_is_carried_over(open_desk, mirror, qtbot):
    beside = Region.from_box("r2", "Region 2", BoxPx(300, 20, 450, 120))
    here = Region.from_box("r1", "Region 1", BoxPx(0, 20, 150, 120))
    session, layers = open_desk.session, mirror._twin.model.layers
    # the third row of cells is red, and a twentieth of the tissue
    errors = [160.0 if row == 2 else 3.0 for row in range(20)]
    cells = tuple(ErrorCell(row, 0, 1.0, one) for row, one in enumerate(errors))
    local = ErrorMap((0.0, 0.0), 150 * session.state.pair.he.mpp, cells)
    good = RegistrationError(2.0, 6.0, 90, 100, 3.0)

    def drawn(error):
        registration = replace(session.state.pair.registration, error=error)
        session.pairing.absorb(Checked(registration))
        mirror.draw()
        layer = find(layers, Role.REGIONS)
        return 0 if layer is None else layer.nshapes

    session.set_regions((here, beside))
    assert drawn(good) == 2
    assert drawn(replace(good, local=local)) == 1
    assert drawn(replace(good, p90_um=160.0)) == 0
    session.state.error_limits = ErrorLimits(25.0, 200.0)
    qtbot.waitUntil(lambda: find(layers, Role.REGIONS) is not None)
    assert find(layers, Role.REGIONS).nshapes == 2


def test_outlines_stay_equally_wide_on_screen(open_desk, mirror, qtbot):
    open_desk.session.set_regions((REGION,))
    layers = mirror._twin.model.layers
    qtbot.waitUntil(lambda: find(layers, Role.REGIONS) is not None)
    for zoom in (0.5, 4.0):
        mirror._twin.model.scene.camera.zoom = zoom
        qtbot.waitUntil(
            lambda wide=2.0 / zoom: find(layers, Role.REGIONS).edge_width == [wide]
        )


def test_a_case_that_is_closed_takes_its_regions_along(open_desk, mirror, qtbot):
    open_desk.session.set_regions((REGION,))
    layers = mirror._twin.model.layers
    qtbot.waitUntil(lambda: find(layers, Role.REGIONS) is not None)
    open_desk.close_case()
    qtbot.waitUntil(lambda: len(layers) == 0)
