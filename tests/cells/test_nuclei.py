import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk, ellipse

from napari_her2.cells.nuclei import find_nuclei, measure_scale, without_gaps
from napari_her2.cells.shape import measure_parts, nuclear_quality

MPP = 0.5


def field(discs, size=260, density=0.5, background=0.05, seed=0):
    """Haematoxylin with round nuclei (y, x, radius), all in px."""
    image = np.full((size, size), background, np.float32)
    for number, (y, x, radius) in enumerate(discs):
        dye = density * (0.7 + 0.3 * (number % 3))
        image[disk((y, x), radius, shape=image.shape)] = dye
    image = ndimage.gaussian_filter(image, 0.8)
    return image + np.random.default_rng(seed).normal(0, 0.01, image.shape).astype("f4")


def grid(radius, step, size=260):
    places = np.arange(step, size - step, step)
    return [(y, x, radius) for y in places for x in places]


def found_in(image):
    return find_nuclei(image, MPP, measure_scale([image], MPP))


@pytest.mark.parametrize("radius", [6, 9, 13])
def test_separate_nuclei_of_any_size_are_found_once_each(radius):
    discs = grid(radius, 36)
    labels = found_in(field(discs))
    at = [labels[y, x] for y, x, _ in discs]
    assert 0 not in at
    assert len(set(at)) == len(discs) == labels.max()
    area = np.bincount(labels.ravel())[1:]
    assert np.median(area) == pytest.approx(
        np.pi * radius**2, rel=0.5 if radius == 6 else 0.2
    )


def test_touching_nuclei_are_parted():
    pairs = [(y, x + side, 8) for y, x, _ in grid(0, 52) for side in (-8, 8)]
    labels = found_in(field(pairs))
    at = [labels[round(y), round(x)] for y, x, _ in pairs]
    assert len(set(at) - {0}) >= 0.9 * len(pairs)


def test_a_pale_middle_does_not_break_a_nucleus():
    image = field(grid(11, 44))
    for y, x, _ in grid(11, 44):
        image[disk((y, x), 5)] -= 0.25
    labels = found_in(image)
    assert labels.max() == len(grid(11, 44))


def test_an_empty_field_has_none():
    image = np.random.default_rng(3).normal(0.03, 0.01, (200, 200)).astype(np.float32)
    scale = measure_scale([field(grid(9, 36))], MPP)
    assert find_nuclei(image, MPP, scale).max() == 0


@pytest.mark.parametrize("strength", [0.3, 0.15])
def test_a_pale_slide_has_as_many_nuclei(strength):
    image = ndimage.gaussian_filter(field(grid(9, 36)), 3)
    pale = (strength * image).astype(np.float32)
    assert found_in(pale).max() == found_in(image).max() == len(grid(9, 36))


def test_a_gap_in_brown_tissue_is_no_nucleus():
    dye, brown = np.full((2, 260, 260), 0.15, np.float32)
    brown += 0.85
    places = grid(9, 52)
    for number, (y, x, radius) in enumerate(places):
        inside = disk((y, x), radius)
        dye[inside], brown[inside] = (0.3, 0.6) if number % 2 else (0.0, 0.0)
    dye, brown = (ndimage.gaussian_filter(one, 0.8) for one in (dye, brown))
    blue = dye - 0.7 * brown
    found = find_nuclei(blue, MPP, measure_scale([blue], MPP))
    kept = without_gaps(found, dye)
    at = np.array([kept[y, x] > 0 for y, x, _ in places])
    assert np.array_equal(at, np.arange(len(places)) % 2 == 1)
    assert found.max() > kept.max() == at.sum()
    assert set(np.unique(kept)) == set(range(kept.max() + 1))
    assert without_gaps(np.zeros_like(found), dye).max() == 0


def test_numbers_have_no_gaps():
    labels = found_in(field(grid(8, 30)))
    assert set(np.unique(labels)) == set(range(labels.max() + 1))


def test_a_disc_is_elliptic_and_a_dumbbell_is_not():
    image = np.zeros((80, 160), np.int32)
    image[disk((40, 30), 12)] = 1
    image[ellipse(40, 75, 14, 8)] = 2
    image[disk((40, 110), 9)] = 3
    image[disk((40, 128), 9)] = 3
    parts = measure_parts(image, 3, MPP)
    assert parts.elliptic[1:3] == pytest.approx(1, abs=0.03)
    assert parts.elliptic[3] < 0.93
    assert parts.elongation[1] == pytest.approx(1, abs=0.05)
    assert parts.elongation[2] == pytest.approx(14 / 8, rel=0.06)
    edge = np.full(image.shape, 0.5, np.float32)
    quality = nuclear_quality(measure_parts(image, 3, MPP, edge), 0.1)
    assert quality[1] > quality[3]
