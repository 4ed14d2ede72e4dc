import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_her2.cells.membrane import N_RAYS, trace_membranes
from napari_her2.cells.outline import grow_cells
from napari_her2.cells.staining import StainingLimits, read_staining
from napari_her2.core.membrane import MembranePattern

MPP = 0.5
SIZE = 64
RADIUS_UM = 6.5
PEAK_OD = 0.6


def one_cell(arc=1.0, peak=PEAK_OD, cytoplasm=0.0, turn=0.0):
    """A nucleus within a ring of DAB that is stained over an arc of the way round."""
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) * MPP
    away, angle = np.hypot(y, x), (np.arctan2(y, x) - turn) % (2 * np.pi)
    nuclei = (away < 4).astype(np.int32)
    ring = peak * np.exp(-(((away - RADIUS_UM) / 0.7) ** 2)) * (angle < 2 * np.pi * arc)
    dab = ring + cytoplasm * ((away > 4) & (away < RADIUS_UM))
    return nuclei, ndimage.gaussian_filter(dab.astype(np.float32), 0.3)


def read(nuclei, dab, limits=None):
    cells = grow_cells(nuclei, dab, MPP)
    rays = trace_membranes(nuclei, cells, dab, MPP)
    return rays, read_staining(rays, limits or StainingLimits())


@pytest.mark.parametrize("arc", [0.25, 0.5, 0.75, 1.0])
def test_completeness_is_the_arc(arc):
    _, found = read(*one_cell(arc))
    assert found.completeness[0] == pytest.approx(arc, abs=1.01 / N_RAYS)


@pytest.mark.parametrize("peak", [0.2, 0.5, 0.9])
def test_the_peak_is_the_density_on_the_ring(peak):
    nuclei, dab = one_cell(1.0, peak)
    rays, _ = read(nuclei, dab)
    assert np.median(rays.peak) == pytest.approx(dab.max(), rel=0.1)
    assert np.median(rays.radius_um) == pytest.approx(RADIUS_UM, abs=0.3)


def test_brown_cytoplasm_without_a_line_is_no_membrane():
    _, found = read(*one_cell(peak=0.0, cytoplasm=0.3))
    assert found.completeness[0] < 0.2
    assert found.pattern[0] == MembranePattern.NONE


def test_patterns_follow_density_and_arc():
    patterns = [
        read(*one_cell(arc, peak))[1].pattern[0]
        for arc, peak in ((1, 0.9), (1, 0.3), (0.5, 0.5), (0.5, 0.12), (1, 0.0))
    ]
    assert patterns == [4, 3, 2, 1, 0]


@settings(deadline=None, max_examples=15)
@given(turn=st.floats(0, 6.28))
def test_turning_a_cell_changes_nothing(turn):
    straight, turned = (read(*one_cell(0.5, turn=t))[1] for t in (0.0, turn))
    assert turned.completeness[0] == pytest.approx(straight.completeness[0], abs=0.06)
    assert turned.membrane_od[0] == pytest.approx(straight.membrane_od[0], rel=0.15)


@settings(deadline=None, max_examples=15)
@given(low=st.floats(0.02, 0.8), more=st.floats(0.05, 0.6))
def test_more_dab_never_reads_as_less(low, more):
    one, other = (read(*one_cell(1.0, peak))[1] for peak in (low, low + more))
    assert other.pattern[0] >= one.pattern[0]


def two_cells(peak_left=0.8, peak_right=0.0):
    """Two cells that touch; the membranes of each on its own side."""
    y, x = (np.indices((SIZE, 2 * SIZE)) - (SIZE - 1) / 2) * MPP
    nuclei = np.zeros(y.shape, np.int32)
    dab = np.zeros(y.shape, np.float32)
    for number, (middle, peak) in enumerate(((0.0, peak_left), (13.0, peak_right)), 1):
        away = np.hypot(y, x - middle)
        nuclei[away < 4] = number
        dab += peak * np.exp(-(((away - 6.2) / 0.7) ** 2))
    return nuclei, dab


def test_a_negative_cell_beside_a_positive_one_stays_negative():
    _, found = read(*two_cells())
    assert found.pattern[0] == MembranePattern.COMPLETE_INTENSE
    assert found.pattern[1] == MembranePattern.NONE


def test_two_positive_cells_share_their_border():
    _, found = read(*two_cells(0.8, 0.8))
    assert found.completeness == pytest.approx([1, 1], abs=0.06)


def test_cells_meet_on_the_membrane_between_them():
    nuclei, dab = two_cells(0.8, 0.8)
    cells = grow_cells(nuclei, dab, MPP)
    row = cells[SIZE // 2]
    border = np.flatnonzero((row[:-1] == 1) & (row[1:] == 2))[0] * MPP
    assert border == pytest.approx((SIZE - 1) / 2 * MPP + 6.5, abs=1.0)
    assert set(np.unique(cells)) == {0, 1, 2}


def test_a_faint_line_counts_in_even_cytoplasm_and_not_in_a_texture_as_strong():
    nuclei, dab = one_cell(1.0, peak=0.16)
    rng = np.random.default_rng(5)
    grain = ndimage.gaussian_filter(rng.standard_normal(dab.shape), 1.5)
    grain = (0.1 + 0.08 * grain / grain.std()).clip(0).astype(np.float32)
    even = read(nuclei, dab + 0.02)[1]
    uneven = read(nuclei, dab * 0.3 + grain)[1]
    assert even.pattern[0] != MembranePattern.NONE
    assert uneven.completeness[0] < 0.5 * even.completeness[0]


def test_intensity_is_that_of_the_strongest_stretches():
    nuclei, dab = one_cell(1.0, peak=0.3)
    _, half = one_cell(0.4, peak=0.9)
    _, found = read(nuclei, np.maximum(dab, half))
    _, whole = read(*one_cell(1.0, peak=0.9))
    assert found.membrane_od[0] == pytest.approx(whole.membrane_od[0], rel=0.1)
