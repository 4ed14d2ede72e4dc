"""Thresholds set by control tissue, on virtual tissue stained paler and darker."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.io import imsave

from napari_her2.cells.calibration import FACTORS, USUAL_OD, scaled
from napari_her2.cells.score_file import ScoreAsked, score_file
from napari_her2.cells.staining import StainingLimits
from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembranePattern, MembraneShares
from napari_her2.core.records import ControlMark
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair

MPP = 0.5
GAP_PX = 60
TUMOUR = draw_recipe(5014, stratum=Score.THREE, width_um=330.0, height_um=260.0)
CONTROL = replace(
    draw_recipe(8801, width_um=260.0, height_um=260.0),
    membranes=replace(TUMOUR.membranes, shares=MembraneShares(0.9, 0.1, 0, 0)),
)
NEGATIVE = replace(
    CONTROL, membranes=replace(CONTROL.membranes, shares=MembraneShares())
)


def field(recipe, second_od):
    pair = VirtualPair(replace(recipe, ihc=replace(TUMOUR.ihc, second_od=second_od)))
    return pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))


def slide(path, second_od, control=CONTROL):
    """Write tumour and control beside each other; return the box of the control."""
    left, right = (field(recipe, second_od) for recipe in (TUMOUR, control))
    glass = np.full((len(left), GAP_PX, 3), 243, np.uint8)
    image = np.concatenate([left, glass, right], 1)
    imsave(path, image, check_contrast=False)
    x0 = left.shape[1] + GAP_PX
    return BoxPx(0, x0, image.shape[0], image.shape[1])


def score(path, *controls):
    return score_file(ScoreAsked(path, MPP, controls=controls))


def test_every_density_is_scaled_and_no_share():
    limits, twice = StainingLimits(), scaled(StainingLimits(), 2.0)
    assert twice.intense_od == 2 * limits.intense_od
    assert twice.stained_od == 2 * limits.stained_od
    assert twice.complete_share == limits.complete_share
    assert twice.wall_slope == limits.wall_slope


@pytest.fixture(scope="module")
def pale(tmp_path_factory):
    path = tmp_path_factory.mktemp("pale") / "pale.png"
    return path, slide(path, 0.6 * TUMOUR.ihc.second_od)


def test_a_pale_slide_reads_nearer_the_truth_by_its_control(pale):
    path, box = pale
    truth = VirtualPair(TUMOUR).tile_truth(
        Stain.IHC, BoxPx.of_shape(VirtualPair(TUMOUR).shape_px(Stain.IHC))
    )[1]
    mine = BoxPx(0, 0, box.y1, box.x0 - GAP_PX)
    without = score_file(ScoreAsked(path, MPP, region_px=mine))
    by_control = score_file(
        ScoreAsked(path, MPP, region_px=mine, controls=(ControlMark(Score.THREE, box),))
    )
    errors = [
        abs(
            one.cells.reading.shares[MembranePattern.COMPLETE_INTENSE].value
            - truth.complete_intense
        )
        for one in (without, by_control)
    ]
    assert errors[1] < errors[0] - 0.05
    assert without.calibration.factor == 1
    found = by_control.calibration
    assert FACTORS[0] <= found.factor < 0.9
    assert found.factor == pytest.approx(found.control_od / USUAL_OD)
    assert found.limits.intense_od == pytest.approx(
        found.factor * StainingLimits().intense_od
    )
    assert f"thresholds × {found.factor:.2f} by control tissue" in by_control.reason


def test_control_tissue_is_not_counted(pale):
    path, box = pale
    n = [
        score(path, *marks).cells.reading.n_cells
        for marks in ((), (ControlMark(Score.THREE, box),))
    ]
    assert n[1] < 0.85 * n[0]


@pytest.mark.parametrize(
    ("score_of", "box", "says"),
    [
        (Score.ZERO, None, "the 0 is stained in"),
        (Score.THREE, BoxPx(0, 660, 520, 720), "the 3+ has 0 cells"),
        (Score.THREE, BoxPx(9000, 0, 9100, 100), "the 3+ has 0 cells"),
    ],
)
def test_a_control_that_is_not_as_it_should_be_is_refused(pale, score_of, box, says):
    path, control = pale
    found = score(path, ControlMark(score_of, box or control))
    assert isinstance(found.call, NotAssessable)
    assert says in found.reason


def test_a_negative_control_is_no_3_and_one_far_too_pale_is_refused(tmp_path):
    box = slide(tmp_path / "a.png", TUMOUR.ihc.second_od, NEGATIVE)
    wrong = score(tmp_path / "a.png", ControlMark(Score.THREE, box))
    assert "complete membrane in" in wrong.reason
    right = score(tmp_path / "a.png", ControlMark(Score.ZERO, box))
    assert right.call is Score.THREE
    assert right.calibration.factor == 1
    box = slide(tmp_path / "b.png", 0.35 * TUMOUR.ihc.second_od)
    faint = score(tmp_path / "b.png", ControlMark(Score.THREE, box))
    assert isinstance(faint.call, NotAssessable)
    assert "The control tissue cannot be used" in faint.reason
