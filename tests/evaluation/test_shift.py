import numpy as np

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.scored_regions import GATED
from napari_her2.evaluation.shift import Shifted, Shifter, shift_scores

SLIDES = np.arange(6)


def shifted(distance: np.ndarray) -> Shifted:
    logits = np.eye(6, dtype=np.float32) * 9
    return Shifted(
        {("blur", 1, Arm.BOTH.value): logits},
        {("blur", 1, "he"): distance, ("blur", 1, "ihc"): np.full(6, 0.1)},
    )


def test_kept_regions_are_those_within_the_threshold(classes):
    truth = np.array([0, 1, 2, 3, 0, 0])  # the last two are wrong
    distance = np.array([0.5, 0.5, 0.5, 0.5, 2.0, 0.9])
    (row,) = shift_scores(shifted(distance), truth, SLIDES, classes)
    assert row["abstained"][0] == round(1 / 6, 5)
    assert row["accuracy_of_all"][0] == round(4 / 6, 5)
    assert row["accuracy_of_kept"][0] == 0.8
    assert row["wrong_and_kept"] == round(1 / 6, 5)


def test_a_bundle_that_cannot_tell_keeps_all(classes):
    made = shifted(np.full(6, np.nan))
    made.distance["blur", 1, "ihc"] = np.full(6, np.nan)
    (row,) = shift_scores(made, np.arange(6), SLIDES, classes)
    assert row["abstained"] == [None, None, None]
    assert row["n_kept"] == 6


def test_a_region_whose_distance_is_unknown_leaves_the_others(classes):
    distance = np.array([np.nan, 0.5, 0.7, 0.9, 0.5, 0.9])
    made = shifted(distance)
    made.distance["blur", 1, "ihc"][0] = np.nan
    (row,) = shift_scores(made, np.arange(6), SLIDES, classes)
    assert row["median_distance"] == 0.7
    assert row["n_kept"] == 6


def test_all_steps_are_scored_in_all_arms(regions, arms):
    part = regions.first_of_slides(4)
    shifter = Shifter(part, arms)
    made = Shifted.of([shifter(region) for region in range(len(part))])
    assert {key[2] for key in made.logits} == {Arm.BOTH, GATED[Stain.HE], Arm.IHC}
    assert len(made.logits) == 2 * 6 * 3
    assert np.array_equal(
        made.logits["blur", 0, Arm.BOTH], made.logits["stain shift", 0, Arm.BOTH]
    )
    assert not np.array_equal(
        made.logits["blur", 0, Arm.BOTH], made.logits["blur", 5, Arm.BOTH]
    )
