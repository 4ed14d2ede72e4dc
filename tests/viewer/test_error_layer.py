"""The map of the registration error lies on the H&E, in the colours of its light."""

from dataclasses import replace

import numpy as np
import pytest

from napari_her2.app.pairing import Checked
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits, RegistrationError
from napari_her2.viewer.roles import Role, find, role_of

CELL_UM = 100.0


def set_map(desk, *cells, p90=8.0):
    local = ErrorMap((-50.0, -50.0), CELL_UM, tuple(ErrorCell(*one) for one in cells))
    error = RegistrationError(3.0, p90, 90, 100, 3.0, local)
    registration = replace(desk.session.state.pair.registration, error=error)
    desk.session.pairing.absorb(Checked(registration))


@pytest.fixture
def mapped(open_desk):
    cells = [(0, 0, 1.0, 5.0), (0, 1, 0.4, 50.0), (1, 0, 1.0, 300.0), (1, 2, 1.0, None)]
    set_map(open_desk, *cells)
    return open_desk


def test_squares_have_their_colour_where_they_lie(mapped):
    mapped.error_layer.show(on=True)
    layer = find(mapped.viewer.layers, Role.ERROR_MAP)
    for at_um, step in (
        ((1, 1), 0.5),
        ((49, 49), 0.5),
        ((1, 51), 1.5),
        ((1, 151), np.nan),
        ((51, 1), 2.5),
        ((51, 51), np.nan),
        ((51, 151), 3.5),
    ):
        place = tuple(np.rint(layer.world_to_data(at_um)).astype(int))
        np.testing.assert_equal(layer.data[place], np.float32(step))
    # nothing of it lies beside the slide
    assert layer.data_to_world((-0.5, -0.5)) == pytest.approx((0, 0))
    roles = [role_of(each) for each in mapped.viewer.layers]
    assert roles.index(Role.IHC) < roles.index(Role.ERROR_MAP)
    assert roles.index(Role.ERROR_MAP) < roles.index(Role.REGIONS)


def test_it_follows_registration_and_limits(mapped, qtbot):
    layers = mapped.viewer.layers
    mapped.error_layer.show(on=True)
    mapped.session.state.error_limits = ErrorLimits(60.0, 400.0)
    qtbot.waitUntil(lambda: find(layers, Role.ERROR_MAP).data[0, 8] == 0.5)
    mapped.session.state.reader_name = "Dr A"
    mapped.session.pairing.nudge((5.0, 0.0), about=(0.0, 0.0))
    qtbot.waitUntil(lambda: not mapped.error_layer.is_shown)


def test_it_is_shown_once_and_goes_with_the_case(mapped):
    n_layers = len(mapped.viewer.layers)
    for _ in range(2):
        mapped.error_layer.show(on=True)
    assert len(mapped.viewer.layers) == n_layers + 1
    mapped.error_layer.show(on=False)
    assert len(mapped.viewer.layers) == n_layers
    mapped.error_layer.show(on=True)
    mapped.close_case()
    assert not mapped.error_layer.is_shown


def region_of(desk, box_um):
    mpp = desk.session.state.pair.he.mpp
    box_px = BoxPx(*(round(edge / mpp) for edge in box_um))
    return Region.from_box("r1", "Region 1", box_px)


@pytest.mark.parametrize(
    ("box_um", "can_run"), [((0, 0, 40, 40), True), ((55, 0, 140, 45), False)]
)
def test_both_stains_are_not_read_together_where_they_lie_apart(
    open_desk, box_um, can_run
):
    good = [(row, 1, 1.0, 2.0) for row in range(20)]
    set_map(open_desk, (0, 0, 1.0, 5.0), (1, 0, 1.0, 300.0), *good)
    session = open_desk.session
    session.set_regions((region_of(open_desk, box_um),))
    plan = session.plan(RunTarget.REGIONS)
    assert plan.can_run is can_run
    if not can_run:
        assert "300 µm apart in Region 1" in plan.tooltip
