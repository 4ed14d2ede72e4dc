"""What stands in the card decides which scores a region leaves open."""

import pytest
from inference_fakes import bundle_of

from napari_her2.core.errors import BundleError
from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.inference.calibrated import open_scores
from napari_her2.models.calibration import Calibration, calibration_of

SHARES = ((Score.ONE, 0.6), (Score.TWO, 0.3), (Score.THREE, 0.1))


def test_a_bundle_without_calibration_has_none(tmp_path):
    assert calibration_of(bundle_of(tmp_path)) is None


def test_it_is_read_from_the_card(tmp_path):
    written = Calibration(0.1, {Arm.HE: 2.0}, {Arm.HE: 0.8})
    parameters = {"calibration": written.to_dict()}
    assert calibration_of(bundle_of(tmp_path, parameters=parameters)) == written


@pytest.mark.parametrize("nonsense", [{}, {"alpha": 2}, 7, {"alpha": "x"}])
def test_nonsense_in_the_card_refuses_the_bundle(tmp_path, nonsense):
    with pytest.raises(BundleError, match="calibration in its card"):
        calibration_of(bundle_of(tmp_path, parameters={"calibration": nonsense}))


def test_the_set_of_several_arms_is_never_narrower_than_that_of_one():
    calibration = Calibration(0.1, quantile={Arm.BOTH: 0.6, Arm.HE: 0.9})
    assert open_scores(calibration, SHARES, [Arm.BOTH]) == (Score.ONE,)
    assert open_scores(calibration, SHARES, [Arm.HE]) == (Score.ONE, Score.TWO)
    both = open_scores(calibration, SHARES, [Arm.BOTH, Arm.HE])
    assert both == (Score.ONE, Score.TWO)


def test_where_nothing_was_scored_the_set_is_empty():
    assert open_scores(Calibration(0.1), (), [Arm.BOTH]) == ()
