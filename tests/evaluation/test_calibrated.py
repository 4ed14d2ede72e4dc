import numpy as np
import pytest

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.calibrated import (
    arm_of_rows,
    calibrated_probabilities,
    calibration_results,
)
from napari_her2.evaluation.scored_regions import FAKE_ALONE, GATED, ScoredRegions
from napari_her2.models.calibration import Calibration

CALIBRATION = Calibration(
    0.1,
    temperature={Arm.BOTH: 2.0, Arm.HE: 4.0},
    quantile={Arm.BOTH: 0.9, Arm.HE: 1.0, Arm.HE_RECONSTRUCTED: 0.5},
)


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 6)).astype(np.float32)
    return ScoredRegions(
        {
            Arm.BOTH.value: logits,
            Arm.HE.value: logits,
            GATED[Stain.HE]: logits,
            FAKE_ALONE: logits,
        },
        {"he": {"product/right": np.arange(40) < 10}},
    )


def test_every_region_takes_the_temperature_of_its_arm(scored, classes):
    said = calibrated_probabilities(scored, classes, CALIBRATION)
    logits = scored.logits[Arm.BOTH.value]
    assert said[Arm.BOTH] == pytest.approx(classes.probabilities(logits / 2))
    through = said[GATED[Stain.HE]]
    assert through[:10] == pytest.approx(classes.probabilities(logits[:10]))
    assert through[10:] == pytest.approx(classes.probabilities(logits[10:] / 4))
    assert said[FAKE_ALONE] == pytest.approx(classes.probabilities(logits))
    assert arm_of_rows(GATED[Stain.HE], scored)[9:11] == [Arm.HE_RECONSTRUCTED, Arm.HE]


def test_sets_are_those_of_the_calibration(scored, classes):
    said = calibrated_probabilities(scored, classes, CALIBRATION)
    truth = np.arange(40) % 6
    found = calibration_results(
        scored, said, truth, np.arange(40), classes, CALIBRATION
    )
    assert FAKE_ALONE not in found  # never calibrated
    assert found[Arm.HE]["sets"]["coverage"][0] == 1  # its quantile holds all
    assert found[Arm.HE]["sets"]["mean_size"] == 5
    assert found[Arm.BOTH]["coverage_asked"] == 0.9
    assert found[Arm.BOTH]["sets"]["n_regions"] == (truth > 0).sum()


def test_without_calibration_nothing_is_claimed(scored, classes):
    said = calibrated_probabilities(scored, classes, None)
    truth = np.ones(40, int)
    assert calibration_results(scored, said, truth, np.arange(40), classes, None) == {}
