import numpy as np
import pytest
from tests.slides.registration.sections import MPP, SHAPE, Block, pair_images, turned

from napari_her2.core.errors import SlideError
from napari_her2.core.registration import ErrorLimits, Light, Registration
from napari_her2.core.transform import Transform, Warp
from napari_her2.slides.registration.check import measure_error
from napari_her2.slides.registration.parts import split
from napari_her2.slides.registration.register import (
    RegistrationStep,
    register_sections,
    stand_in_scales,
)
from napari_her2.slides.registration.section import read_section, section_of


def register(he, ihc):
    sections = (section_of(image, MPP) for image in (he, ihc))
    *steps, last = register_sections(*sections, scale_known=True)
    assert all(isinstance(step, RegistrationStep) for step in steps)
    assert [step.share for step in steps] == sorted(step.share for step in steps)
    assert isinstance(last, Registration)
    return last


def distances_um(found, truth, points_um):
    return np.linalg.norm(found.transform.apply(points_um) - truth(points_um), axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deg", "scale", "mirrored"), [(0, 1, False), (143, 0.86, False), (-70, 1.1, True)]
)
def test_any_orientation_is_found_and_told_apart(deg, scale, mirrored, inner_points_um):
    truth = turned(deg, scale, (60, -40), mirrored=mirrored)
    found = register(*pair_images(1, truth))
    away = distances_um(found, truth.apply, inner_points_um)
    assert np.median(away) < 3
    assert found.error.light(ErrorLimits()) is Light.GREEN
    assert found.error.median_um < 6


@pytest.mark.slow
def test_a_bend_is_followed_where_it_helps(inner_points_um):
    truth = turned(10)

    def bent(points_um):
        # the image was drawn from H&E places moved by the bend: undo it here
        points = np.array(points_um, float)
        for _ in range(30):
            moved = (
                points[:, 0] / MPP - 0.5 + 7 * np.sin((points[:, 1] / MPP - 0.5) / 90)
            )
            points[:, 0] += points_um[:, 0] - (moved + 0.5) * MPP
        return truth.apply(points)

    found = register(*pair_images(2, truth, bend_px=7))
    assert found.method == "automatic, affine and smooth"
    away = distances_um(found, bent, inner_points_um)
    assert np.median(away) < 5
    assert found.transform.affine is None
    assert found.error.light(ErrorLimits()) is not Light.RED


@pytest.mark.slow
def test_unrelated_sections_get_red():
    he, ihc = pair_images(3, turned(0), other=Block(99))
    found = register(he, ihc)
    assert found.error.light(ErrorLimits()) is Light.RED


def test_the_error_is_that_of_places_kept_out_of_the_fit(inner_points_um):
    truth = turned(0, 1, (30, 20))
    fixed, moving = (section_of(image, MPP) for image in pair_images(4, truth))
    parts = split(fixed)
    held_out = ~parts.fitted
    assert 0.1 < held_out.mean() < 0.4
    half = 32
    for y, x in parts.check_px:
        assert held_out[max(0, y - half) : y + half, max(0, x - half) : x + half].all()
    for y, x in parts.fit_px:
        assert not held_out[
            max(0, y - half) : y + half, max(0, x - half) : x + half
        ].any()
    right = Registration.of_affine(truth, "right").transform
    off = Registration.of_affine(turned(0, 1, (70, 50)), "off").transform
    good, bad = (measure_error(fixed, moving, one, parts) for one in (right, off))
    assert good.median_um < 2
    assert bad.median_um == pytest.approx(50, rel=0.15)


def test_a_place_where_nothing_lies_has_no_error():
    truth = turned(0)
    fixed, moving = (section_of(image, MPP) for image in pair_images(4, truth))
    far = Registration.of_affine(turned(0, 1, (90_000, 0)), "far").transform
    error = measure_error(fixed, moving, far, split(fixed))
    assert not error.is_evident
    assert error.light(ErrorLimits()) is Light.RED
    assert "scattered as by chance" in error.sentence()


def right_of_the_middle(error):
    """Return the cells of the map that lie wholly in the right or in the left half."""
    x0, cell_um = error.local.origin_um[1], error.local.cell_um
    middle_um = SHAPE[1] * MPP / 2
    right = [c for c in error.local.cells if x0 + c.col * cell_um > middle_um + 64]
    left = [c for c in error.local.cells if x0 + (c.col + 1) * cell_um < middle_um]
    assert left
    assert right
    return left, right


def test_the_map_says_which_side_is_bent_off():
    fixed, moving = (section_of(image, MPP) for image in pair_images(4, turned(0)))
    knots = np.zeros((8, 10, 2))
    knots[:, 5:] = 60.0
    bent = Transform("he", "ihc", (Warp((0.0, 0.0), 320.0, knots),))
    left, right = right_of_the_middle(measure_error(fixed, moving, bent, split(fixed)))
    assert max(cell.error_um for cell in left if cell.error_um is not None) < 10
    assert min(cell.error_um for cell in right if cell.error_um is not None) > 50


def test_the_map_does_not_speak_for_tissue_that_is_gone():
    he, ihc = pair_images(4, turned(0))
    ihc[:, SHAPE[1] // 2 :] = 240
    fixed, moving = (section_of(image, MPP) for image in (he, ihc))
    same = Transform("he", "ihc")
    error = measure_error(fixed, moving, same, split(fixed))
    left, right = right_of_the_middle(error)
    assert any(cell.error_um is not None for cell in left)
    assert all(cell.error_um is None for cell in right)
    total = sum(cell.tissue for cell in error.local.cells)
    px = (error.local.cell_um / MPP) ** 2
    assert total * px == pytest.approx(fixed.tissue.sum(), rel=0.05)


def test_an_empty_slide_is_refused(make_flat_slide):
    blank = make_flat_slide(np.full((300, 300, 3), 240, np.uint8))
    with pytest.raises(SlideError, match="too little tissue"):
        read_section(blank, 1.0)


def test_stand_in_scales(make_flat_slide):
    small = make_flat_slide(np.full((100, 200, 3), 240, np.uint8))
    large = make_flat_slide(np.full((100, 800, 3), 240, np.uint8))
    assert stand_in_scales(small, small) == (1.0, 1.0)
    assert stand_in_scales(large, small) == (1.0, 4.0)
    assert stand_in_scales(large.with_mpp(0.5), small) == (0.5, 2.0)
    assert stand_in_scales(large, small.with_mpp(0.5)) == (0.125, 0.5)
    assert stand_in_scales(large.with_mpp(0.5), small.with_mpp(0.7)) == (0.5, 0.7)
