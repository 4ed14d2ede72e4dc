import numpy as np
import pytest

from napari_her2.core.score import Stain
from napari_her2.evaluation.translation import (
    COLOUR_TRANSFER,
    FLAT_COLOUR,
    HE_COPIED,
    Translated,
    colour_makers,
    measure_translation,
)
from napari_her2.evaluation.translation_scores import (
    ALL,
    BELOW_THREE,
    backward_scores,
    better_than,
    translation_scores,
)


@pytest.fixture(scope="module")
def measured(regions, arms):
    makers = {
        "perfect": lambda region, _: regions.core(Stain.IHC, region),
        "inverted": lambda region, _: 255 - regions.core(Stain.IHC, region),
        **colour_makers(regions),
    }
    made = Translated()
    steps = list(
        measure_translation(
            regions, arms, makers, made, lambda image: image.mean((0, 1))
        )
    )
    assert len(steps) == len(regions)
    return made


def test_a_perfect_fake_scores_perfectly(measured, regions, classes):
    scores = translation_scores(measured, regions.labels, regions.slides, classes)
    everything = scores["perfect"]["groups"][ALL]
    assert everything["psnr"][0] == 100
    assert everything["ssim"][0] == 1
    assert everything["dab_error"][0] == 0
    assert everything["dab_pearson"][0] == 1
    assert everything["positive_iou"][0] == 1
    assert scores["perfect"]["score_of_fake_and_real"]["same_call"][0] == 1


def test_classes_and_those_below_three_plus_are_apart(measured, regions, classes):
    scores = translation_scores(measured, regions.labels, regions.slides, classes)
    groups = scores[HE_COPIED]["groups"]
    assert groups[BELOW_THREE]["n_images"] == 10
    assert groups["3+"]["n_images"] == 2
    assert groups["3+"]["dab_real"] > groups["0"]["dab_real"]


def test_colour_transfer_and_flat_colour_know_the_mean_only(measured, regions, classes):
    scores = translation_scores(measured, regions.labels, regions.slides, classes)
    flat = scores[FLAT_COLOUR]["groups"][ALL]
    assert flat["dab_pearson"][0] is None  # it never varies
    assert flat["psnr"][0] > scores["inverted"]["groups"][ALL]["psnr"][0]
    moved = scores[COLOUR_TRANSFER]["groups"][ALL]
    assert moved["psnr"][0] > scores[HE_COPIED]["groups"][ALL]["psnr"][0]


def test_a_perfect_fake_beats_all_others_with_an_interval(measured, regions, classes):
    ahead = better_than(measured, "perfect", regions.labels, regions.slides, classes)
    assert "perfect" not in ahead
    value, low, _ = ahead[FLAT_COLOUR][ALL]["dab_pearson"]
    assert value == 1  # a correlation that is not defined counts as 0
    assert low > 0
    assert ahead["inverted"][ALL]["positive_iou"][1] > 0


def test_the_way_back_is_measured_too(regions):
    real = [regions.core(Stain.HE, k) for k in range(len(regions))]
    found = backward_scores(regions, real)
    assert found["psnr"] == [100, 100, 100]
    assert backward_scores(regions, real[::-1])["ssim"][0] < 0.5


def test_features_are_taken_of_every_image(measured, regions):
    assert len(measured.features["real"]) == len(regions)
    assert np.array_equal(measured.features["real"], measured.features["perfect"])
