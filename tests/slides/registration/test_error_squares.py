"""Every square is told by a fit that never saw it."""

from functools import partial

import numpy as np
import pytest

from napari_her2.slides.registration.error_squares import Bend, error_map, errors_um
from napari_her2.slides.registration.matching import Matches
from napari_her2.slides.registration.parts import CHECKS, KINDS, split
from napari_her2.slides.registration.section import Section
from napari_her2.slides.registration.smooth import fit_warp

MPP = 4.0
SHAPE = (672, 960)
OFF_UM = 60.0


@pytest.fixture(scope="module")
def section():
    full = np.ones(SHAPE, np.float32)
    return Section(full, full, full > 0, MPP)


@pytest.fixture(scope="module")
def parts(section):
    return split(section)


def matches(centres_px, shifts_um):
    sure = np.full(len(centres_px), 0.3)
    return Matches((centres_px + 0.5) * MPP, shifts_um, sure, sure)


def in_square(parts, centres_px, square):
    return (centres_px // parts.square_px == square).all(1)


def moved_in(parts, centres_px, square):
    """Shifts of patches where the tissue of one square lies off."""
    shifts = np.zeros((len(centres_px), 2))
    shifts[in_square(parts, centres_px, square)] = (0.0, OFF_UM)
    return shifts


def bend_of(section, parts, square):
    """A bend that follows what it saw, also in that square."""
    fit = partial(fit_warp, size_um=section.size_um, spacing_um=256.0, um_per_px=MPP)
    # matches scatter, so that what lies off in one square is no outlier
    scatter = np.random.default_rng(1).normal(0, 20, (len(parts.fit_px), 2))
    seen = matches(parts.fit_px, moved_in(parts, parts.fit_px, square) + scatter)
    return Bend(fit(seen), seen, fit)


def found_under(bend, parts, square):
    """Matches after the bend, the tissue of one square off as before it."""
    centres = np.concatenate([parts.check_px, parts.other_px])
    at_um = (centres + 0.5) * MPP
    back = bend.warp.inverse().apply(at_um + moved_in(parts, centres, square))
    return centres, matches(centres, back - at_um)


def test_squares_divide_the_patches(parts):
    for centres, kinds in (
        (parts.check_px, (CHECKS,)),
        (parts.other_px, [kind for kind in KINDS if kind != CHECKS]),
    ):
        assert len(centres)
        assert sum(parts.within(centres, kind).sum() for kind in kinds) == len(centres)
    assert not parts.meets(parts.fit_px, CHECKS).any()
    assert len(parts.fit_px) > len(parts.other_px)


@pytest.mark.parametrize("square", [(2, 4), (2, 3), (3, 4)])
def test_a_square_that_a_bend_followed_is_told_by_a_fit_without_it(
    section, parts, square
):
    bend = bend_of(section, parts, square)
    centres, found = found_under(bend, parts, square)
    here = in_square(parts, centres, square)
    seen, unseen = (errors_um(section, found, parts, one) for one in (None, bend))
    # the bend itself lies well there, and would certify itself
    assert np.median(seen[here]) < 0.65 * OFF_UM
    assert np.median(unseen[here]) > 0.9 * OFF_UM
    far = np.abs(centres // parts.square_px - square).max(1) > 1
    assert np.median(unseen[far]) < 0.2 * OFF_UM


def test_a_square_that_checks_is_told_by_the_bend_itself(section, parts):
    square = (3, 5)
    bend = bend_of(section, parts, square)
    centres, found = found_under(bend, parts, square)
    here = in_square(parts, centres, square)
    assert parts.within(centres[here], CHECKS).all()
    told = errors_um(section, found, parts, bend)[here]
    np.testing.assert_allclose(told, np.linalg.norm(found.shifts_um[here], axis=1))
    assert np.median(told) > 0.8 * OFF_UM


def test_cells_are_squares_and_need_three_patches(section, parts):
    centres = np.concatenate([parts.check_px, parts.other_px])
    few = np.flatnonzero(in_square(parts, centres, (1, 1)))[:2]
    kept = in_square(parts, centres, (0, 2))
    kept[few] = True
    local = error_map(
        section, matches(centres[kept], np.full((kept.sum(), 2), 3.0)), parts
    )
    assert (local.origin_um, local.cell_um) == ((0.0, 0.0), 96 * MPP)
    assert [(c.row, c.col) for c in local.cells] == list(np.ndindex(7, 10))
    told = {(c.row, c.col): c.error_um for c in local.cells if c.error_um is not None}
    assert told == {(0, 2): 4.2}
