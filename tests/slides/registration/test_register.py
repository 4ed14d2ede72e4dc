import numpy as np
import pytest
from tests.slides.registration.sections import MPP, Block, pair_images, turned

from napari_her2.core.errors import SlideError
from napari_her2.core.registration import ErrorLimits, Light, Registration
from napari_her2.slides.registration.check import measure_error, split
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
