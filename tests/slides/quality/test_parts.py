"""The measures that findings rest on give what they say, in their units."""

import numpy as np
import pytest
from scipy import ndimage

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import ControlMark
from napari_her2.core.score import Score, Stain
from napari_her2.slides.quality.assess import BLURRED_UM
from napari_her2.slides.quality.control import (
    check_cores,
    check_marked,
    find_cores,
    measure_cores,
)
from napari_her2.slides.quality.ellipse import Ellipse, fit_ellipse
from napari_her2.slides.quality.finding import Severity
from napari_her2.slides.quality.focus import blur_map
from napari_her2.slides.quality.overview import look_at
from napari_her2.slides.quality.reading import read_averaged

DAB = np.array((0.27, 0.57, 0.78))


def blur_of_nuclei(mpp, contrast, blur_um):
    """Tell the blur of round nuclei of 9 µm, drawn at half a micrometre."""
    rng = np.random.default_rng(0)
    drawn = np.zeros((512, 512), np.float32)
    rows, cols = np.ogrid[:512, :512]
    for y, x in rng.uniform(0, 512, (150, 2)):
        drawn[np.hypot(rows - y, cols - x) < 9] = 1
    soft = 0.1 + contrast * ndimage.gaussian_filter(drawn, max(blur_um, 0.3) / 0.5)
    by = round(mpp / 0.5)
    soft = soft.reshape(512 // by, by, 512 // by, by).mean((1, 3)).astype(np.float32)
    found, tissue = blur_map(soft, mpp, len(soft))
    assert tissue[0, 0] == 1
    return float(found[0, 0])


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_blur_is_told_in_micrometres_whatever_the_contrast(mpp):
    told = [blur_of_nuclei(mpp, 0.6, blur_um) for blur_um in (0, 1, 2, 3, 5)]
    assert told == sorted(told)
    assert told[0] < BLURRED_UM < told[3]
    assert told[3] == pytest.approx(3, rel=0.35)
    assert blur_of_nuclei(mpp, 0.3, 3) == pytest.approx(told[3], rel=0.02)
    assert blur_of_nuclei(0.5, 0.6, 3) == pytest.approx(told[3], rel=0.1)


def test_a_flat_field_is_not_judged():
    found, _ = blur_map(np.full((64, 64), 0.5, np.float32), 1.0, 64)
    assert np.isnan(found).all()


def test_an_ellipse_is_found_among_clutter():
    rng = np.random.default_rng(2)
    true = Ellipse(50.0, 70.0, 40.0, 30.0, 0.4)
    angle = rng.uniform(0, 2 * np.pi, 300)
    dx, dy = 40 * np.cos(angle), 30 * np.sin(angle)
    rows = 50 + np.sin(0.4) * dx + np.cos(0.4) * dy
    cols = 70 + np.cos(0.4) * dx - np.sin(0.4) * dy
    rows = np.concatenate([rows, rng.uniform(0, 100, 150)])
    cols = np.concatenate([cols, rng.uniform(0, 140, 150)])
    found = fit_ellipse(rows.round().astype(int), cols.round().astype(int), 1.5)
    inside = found.inside((100, 140)), true.inside((100, 140))
    overlap = (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()
    assert overlap > 0.93


@pytest.mark.parametrize("pixel_px", [1, 2.0, 3.7, 8])
def test_averaging_keeps_the_mean_and_says_how_coarse_it_is(slide_of, pixel_px):
    image = np.random.default_rng(0).integers(0, 256, (260, 404, 3), np.uint8)
    out, got = read_averaged(slide_of(image), pixel_px)
    assert got <= pixel_px
    used = image[: int(out.shape[0] * got), : int(out.shape[1] * got)]
    assert out.reshape(-1, 3).mean(0) == pytest.approx(
        used.reshape(-1, 3).mean(0), abs=0.6
    )
    part, _ = read_averaged(slide_of(image), pixel_px, BoxPx(0, 0, 160, 160))
    assert np.array_equal(part, out[: part.shape[0], : part.shape[1]])


def slide_with_cores(slide_of, densities, *, is_round=False):
    """Patient tissue on the left, a column of brown cores on the right; 8 µm/px."""
    rng = np.random.default_rng(3)
    blue = np.array((0.25, 0.26, 0.12))
    density = np.zeros((900, 900, 3))
    rows, cols = np.ogrid[:900, :900]
    if is_round:
        density[np.hypot(rows - 450, cols - 310) < 180] = blue
    else:
        density[100:800, 60:560] = blue
    for index, dab in enumerate(densities):
        disc = np.hypot(rows - (180 + 260 * index), cols - 740) < 75
        density[disc] = 0.4 * blue + dab * DAB
    light = 242 * 10**-density + rng.normal(0, 1, density.shape)
    slide = slide_of(light.clip(0, 255).astype(np.uint8), 8.0)
    return slide, look_at(slide, Stain.IHC)


@pytest.mark.parametrize(
    ("densities", "severity"),
    [
        ((0.0, 0.05, 0.4), Severity.NOTE),
        ((0.4, 0.05, 0.0), Severity.NOTE),
        ((0.0, 0.0, 0.05), Severity.BLOCK),
        ((0.3, 0.3, 0.4), Severity.BLOCK),
        ((0.0, 0.0, 0.4), Severity.BLOCK),
    ],
)
def test_control_cores_are_found_and_checked(slide_of, densities, severity):
    slide, view = slide_with_cores(slide_of, densities)
    boxes, mask = find_cores(view)
    assert len(boxes) == 3
    assert not mask[:, :600].any()
    finding = check_cores(view, measure_cores(slide, view, boxes), mask)
    assert finding.severity is severity
    assert ("failed" in finding.sentence) == (severity is Severity.BLOCK)


@pytest.mark.parametrize(
    ("dab", "marked", "words"),
    [
        ((0.0, 0.05, 0.4), "0 1+ 3+", ""),
        ((0.0, 0.05, 0.4), "0 3+", ""),
        ((0.0, 0.05, 0.4), "3+", ""),
        ((0.0, 0.05, 0.1), "0 1+ 3+", "3+ has"),
        ((0.2, 0.3, 0.4), "0", "not near 0"),
        ((0.0, 0.0, 0.4), "0 1+ 3+", "1+ does not"),
        ((0.0, 0.35, 0.4), "1+ 3+", "1+ does not"),
    ],
)
def test_marked_control_must_read_what_the_reader_expects(slide_of, dab, marked, words):
    slide, view = slide_with_cores(slide_of, dab)
    boxes = dict(zip(("0", "1+", "3+"), find_cores(view)[0], strict=True))
    marks = [ControlMark(Score(text), boxes[text]) for text in marked.split()]
    finding = check_marked(slide, view, marks)
    assert words in finding.sentence
    assert (finding.severity is Severity.BLOCK) == bool(words)
    for text in {"0", "1+", "3+"} - set(marked.split()):
        assert words or text in finding.sentence.partition("Not marked")[2]
    assert not finding.mask[:, :600].any()
    assert finding.mask[:, 650:].any()


def test_a_mark_without_tissue_fails(slide_of):
    slide, view = slide_with_cores(slide_of, (0.0, 0.05, 0.4))
    finding = check_marked(slide, view, [ControlMark(Score.THREE, BoxPx(0, 0, 60, 60))])
    assert finding.severity is Severity.BLOCK
    assert "no tissue" in finding.sentence


def test_cores_marked_by_hand_are_measured_alike(slide_of):
    slide, view = slide_with_cores(slide_of, (0.0, 0.05, 0.4))
    boxes, _ = find_cores(view)
    found = measure_cores(slide, view, boxes)
    marked = measure_cores(slide, view, [box.padded(20) for box in boxes])
    assert [m.dab for m in marked] == pytest.approx([f.dab for f in found], rel=0.1)


def test_round_tissue_of_the_patient_is_no_core(slide_of):
    slide, view = slide_with_cores(slide_of, (0.0, 0.05, 0.4), is_round=True)
    boxes, mask = find_cores(view)
    assert len(boxes) == 3
    assert not mask[:, :600].any()
    assert check_cores(view, measure_cores(slide, view, boxes), mask).severity is (
        Severity.NOTE
    )


def test_tissue_alone_is_no_control(slide_of, field):
    view = look_at(slide_of(field(Stain.IHC).image), Stain.IHC)
    assert find_cores(view)[0] == ()
