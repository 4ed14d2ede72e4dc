from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_her2.core.errors import UsageError
from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.bundle import load_bundle
from napari_her2.models.network import load_network
from napari_her2.training.config import TrainingConfig
from napari_her2.training.demo import DemoRun, training_command
from napari_her2.training.progress import TrainProgress, TrainStage


def _run(config: TrainingConfig, out: Path, sources) -> Iterator[TrainProgress]:
    return DemoRun(config, out, **sources).train(comparisons=True)


def test_a_run_ends_in_a_bundle_that_loads(tmp_path, tiny_config, sources):
    progress = list(_run(tiny_config, tmp_path, sources))
    ended = [p.stage for p in progress if p.step == p.n_steps]
    assert ended == [
        TrainStage.TILES,
        TrainStage.TILES,
        TrainStage.HE_TO_IHC,
        TrainStage.IHC_TO_HE,
        TrainStage.SELECTOR,
        TrainStage.CLASSIFIER,
        TrainStage.POOLING,
        TrainStage.HEAD,
        TrainStage.FAMILIARITY,
        TrainStage.HEAD_CONCAT,
        TrainStage.HEAD_MASKED_MEAN,
        TrainStage.HE_ONLY,
        TrainStage.POOLING,
        TrainStage.HEAD_HE_ONLY,
        TrainStage.PLAIN_HE_TO_IHC,
    ]
    bundle = load_bundle(tmp_path / "bundle")
    network = load_network(bundle)
    assert network.tile_px == 96 + 2 * 64
    assert set(network.generators) == {"he_to_ihc", "ihc_to_he"}
    assert network.selector is not None
    assert network.gate is not None
    assert network.familiarity is not None
    assert bundle.card.parameters["calibration"]["coverage_asked"] == 0.9
    assert bundle.card.classes == ("no invasive tumour", *Score)
    assert "6 pairs of neighbouring sections" in bundle.card.trained_on
    arms = bundle.card.scores["arms"]
    assert set(arms) == {arm.value for arm in Arm}
    for arm in arms.values():
        assert sum(map(sum, arm["confusion_rows_truth"])) == arm["n_tiles"] == 2
    log = (bundle.path / "training.csv").read_text()
    assert "classifier,6,validation_accuracy," in log
    assert {path.stem for path in (tmp_path / "comparisons").iterdir()} == {
        "head_concat",
        "head_masked_mean",
        "he_only",
        "plain_he_to_ihc",
    }


def _log(folder: Path) -> str:
    return (folder / "training.csv").read_text()


@pytest.mark.parametrize(
    "stop",
    [(TrainStage.IHC_TO_HE, 3), (TrainStage.CLASSIFIER, 3), (TrainStage.HEAD, 3)],
)
def test_a_stopped_run_goes_on_as_if_it_never_stopped(
    tmp_path, tiny_config, sources, stop
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = [p for p in DemoRun(tiny_config, whole, **sources).train() if p.losses]
    run = DemoRun(tiny_config, parts, **sources).train()
    for progress in run:
        if (progress.stage, progress.step) == stop:
            break
    run.close()
    again = [p for p in DemoRun(tiny_config, parts, **sources).train() if p.losses]
    # step 3 lies behind the checkpoint of step 2, so it is done again
    assert again[0].step == 3
    assert again == expected[-len(again) :]
    assert _log(parts) == _log(whole)


def test_a_folder_of_other_tiles_is_refused(tmp_path, tiny_config, sources):
    next(DemoRun(tiny_config, tmp_path, **sources).train())
    other = {**sources, "generator_source": sources["train_source"]}
    with pytest.raises(UsageError, match="another run"):
        next(DemoRun(tiny_config, tmp_path, **other).train())


def test_the_command_names_what_is_not_default():
    assert training_command(TrainingConfig()) == "napari-her2 train"
    config = TrainingConfig(seed=2, classifier_steps=5)
    assert training_command(config) == "napari-her2 train --seed 2 --classifier-steps 5"
