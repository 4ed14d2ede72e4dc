"""Every artefact is named where it lies, and clean tissue is left alone."""

from dataclasses import replace

import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.phantom.artefacts_ink import PenColour, PenMark
from napari_her2.phantom.artefacts_layers import (
    Bubble,
    Droplets,
    FocusLoss,
    Fold,
    Smudge,
)
from napari_her2.phantom.artefacts_tissue import Crush, EdgeEffect, StainingOff
from napari_her2.slides.quality.assess import assess_quality, quality_steps
from napari_her2.slides.quality.finding import FindingKind, QualityReport, Severity
from napari_her2.slides.quality.tiles import TileLooked

MIDDLE = (320.0, 400.0)
ARTEFACTS = {
    FindingKind.FOLD: Fold(((150.0, 250.0), (450.0, 500.0)), 60.0),
    FindingKind.BUBBLE: Bubble(MIDDLE, 300.0, rim_um=14.0),
    FindingKind.DROPLETS: Droplets(MIDDLE, 150.0, 45.0, 25, 0.7),
    FindingKind.SMUDGE: Smudge(MIDDLE, 150.0, 0.4),
    FindingKind.OUT_OF_FOCUS: FocusLoss(4.0, MIDDLE, 350.0),
    FindingKind.CRUSH: Crush(MIDDLE, 300.0, 60.0),
    FindingKind.WEAK: StainingOff(0.3, 0.3),
    FindingKind.STRONG: StainingOff(5.0, 5.0),
}


def whole_mask(finding, shape):
    rows, cols = (
        np.minimum((np.arange(n) / finding.pixel_px).astype(int), side - 1)
        for n, side in zip(shape, finding.mask.shape, strict=True)
    )
    return finding.mask[np.ix_(rows, cols)]


@pytest.mark.parametrize("stain", Stain)
@pytest.mark.parametrize(
    "glass", [(240, 241, 243), (215, 215, 215), (243, 228, 236)], ids=str
)
def test_clean_tissue_is_left_alone_on_any_glass(field, slide_of, stain, glass):
    report = assess_quality(slide_of(field(stain, glass=glass).image), stain)
    assert [
        str(f.kind) for f in report.findings if f.severity is not Severity.NOTE
    ] == []
    assert report.tissue_share == pytest.approx(500 * 660 / (640 * 800), abs=0.08)


@pytest.mark.parametrize("stain", Stain)
@pytest.mark.parametrize("kind", ARTEFACTS)
def test_an_artefact_is_named_where_it_lies(field, slide_of, stain, kind):
    spoiled = ARTEFACTS[kind].lay_over(field(stain))
    finding = assess_quality(slide_of(spoiled.field.image), stain).of(kind)
    assert finding is not None
    assert finding.severity is not Severity.NOTE
    assert finding.sentence
    if finding.mask is not None:
        found = whole_mask(finding, spoiled.mask.shape)
        assert (found & spoiled.mask).sum() > 0.2 * spoiled.mask.sum()
        # and next to nothing far from it
        assert (found & ~spoiled.mask).sum() < 0.1 * found.size


@pytest.mark.parametrize("colour", PenColour)
@pytest.mark.parametrize("stain", Stain)
def test_pen_of_every_colour_is_found_over_tissue_and_glass(
    field, slide_of, stain, colour
):
    mark = PenMark(colour, ((0.0, 200.0), (640.0, 500.0)), 120.0)
    spoiled = mark.lay_over(field(stain))
    finding = assess_quality(slide_of(spoiled.field.image), stain).of(FindingKind.PEN)
    assert finding is not None
    found = whole_mask(finding, spoiled.mask.shape)
    assert (found & spoiled.mask).sum() > 0.7 * spoiled.mask.sum()
    assert (found & spoiled.mask).sum() > 0.7 * found.sum()
    assert found[:60].any(), "on the glass too"


def test_a_field_that_is_mostly_pen_or_blurred_blocks(field, slide_of):
    clean = field()
    pen = PenMark(PenColour.BLACK, ((320.0, 0.0), (320.0, 800.0)), 300.0)
    report = assess_quality(slide_of(pen.lay_over(clean).field.image), Stain.HE)
    assert FindingKind.PEN in [f.kind for f in report.blocking]
    blurred = FocusLoss(4.0).lay_over(clean).field.image
    report = assess_quality(slide_of(blurred), Stain.HE)
    assert FindingKind.OUT_OF_FOCUS in [f.kind for f in report.blocking]
    assert report.findings[0].severity is Severity.BLOCK, "the gravest comes first"


def test_the_edge_effect_is_told_from_a_dark_middle(field, slide_of):
    # pixels of 2 µm, so that the outline is long enough to be judged
    clean = replace(field(Stain.IHC, margin=40), mpp=2.0)
    edge = EdgeEffect(2.5, 60.0, 0.2).lay_over(clean)
    report = assess_quality(slide_of(edge.field.image, 2.0), Stain.IHC)
    assert report.of(FindingKind.EDGE) is not None
    all_over = StainingOff(background=0.15).lay_over(clean)
    report = assess_quality(slide_of(all_over.field.image, 2.0), Stain.IHC)
    assert report.of(FindingKind.EDGE) is None


@pytest.mark.parametrize("glass", [255, 238, 215])
def test_blank_glass_blocks(slide_of, glass):
    rng = np.random.default_rng(1)
    image = rng.normal(glass, 1.5, (500, 600, 3)).clip(0, 255).astype(np.uint8)
    (finding,) = assess_quality(slide_of(image), Stain.HE).findings
    assert finding.kind is FindingKind.NO_TISSUE
    assert finding.severity is Severity.BLOCK


def test_a_slide_without_a_scale_is_assessed_and_says_so(field, slide_of):
    report = assess_quality(slide_of(field().image, None), Stain.HE)
    scale = report.of(FindingKind.SCALE)
    assert scale is not None
    assert scale.severity is Severity.NOTE
    assert not report.blocking


@pytest.mark.parametrize("shape", [(10, 10), (50, 30), (1, 1), (3, 900)])
def test_crops_of_any_size_are_assessed(slide_of, shape):
    image = np.full((*shape, 3), 120, np.uint8)
    for mpp in (None, 0.25, 8.0):
        assert assess_quality(slide_of(image, mpp), Stain.IHC).stain is Stain.IHC


def test_it_can_be_stopped_after_any_tile(field, slide_of):
    steps = quality_steps(slide_of(field().image), Stain.HE)
    first = next(steps)
    assert isinstance(first, TileLooked)
    assert first.n_done == 1
    steps.close()
    *tiles, last = quality_steps(slide_of(field().image), Stain.HE)
    assert isinstance(last, QualityReport)
    assert len(tiles) == last.n_tiles == last.n_tiles_of


def test_only_a_sample_of_a_large_slide_is_read(field, slide_of, monkeypatch):
    monkeypatch.setattr("napari_her2.slides.quality.tiles.MOST_TILES", 4)
    blurred = FocusLoss(4.0).lay_over(field()).field.image
    report = assess_quality(slide_of(blurred), Stain.HE)
    assert report.n_tiles == 4 < report.n_tiles_of
    finding = report.of(FindingKind.OUT_OF_FOCUS)
    assert f"4 of {report.n_tiles_of} tiles" in finding.sentence
    assert finding.mask.mean() > 0.4, "tiles between take the answer of the nearest"
