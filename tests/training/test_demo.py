from pathlib import Path

import pytest

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Score
from napari_her2.models.bundle import load_bundle
from napari_her2.models.network import load_network
from napari_her2.training.config import TrainingConfig
from napari_her2.training.demo import train_demo, training_command
from napari_her2.training.progress import TrainStage


def test_a_run_ends_in_a_bundle_that_loads(tmp_path, tiny_config, sources):
    progress = list(train_demo(tiny_config, tmp_path, **sources))
    assert [p.stage for p in progress if p.step == p.n_steps] == [
        TrainStage.TILES,
        TrainStage.TILES,
        TrainStage.TILES,
        TrainStage.GENERATOR,
        TrainStage.CLASSIFIER,
        TrainStage.SCORING,
    ]
    bundle = load_bundle(tmp_path / "bundle")
    assert load_network(bundle).tile_px == 96 + 2 * 64
    assert bundle.card.classes == ("no invasive tumour", *Score)
    assert "6 pairs of neighbouring sections" in bundle.card.trained_on
    assert bundle.card.scores["n_slides"] == 3
    arms = bundle.card.scores["arms"]
    assert set(arms) == {"H&E and IHC", "H&E and synthetic IHC", "IHC"}
    for arm in arms.values():
        assert arm["n_tiles"] == 6
        assert sum(map(sum, arm["confusion_rows_truth"])) == 6
    log = (bundle.path / "training.csv").read_text()
    assert "classifier,6,validation_accuracy," in log


def _log(folder: Path) -> str:
    return (folder / "training.csv").read_text()


@pytest.mark.parametrize(
    "stop", [(TrainStage.GENERATOR, 3), (TrainStage.CLASSIFIER, 3)]
)
def test_a_stopped_run_goes_on_as_if_it_never_stopped(
    tmp_path, tiny_config, sources, stop
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = [p for p in train_demo(tiny_config, whole, **sources) if p.losses]
    run = train_demo(tiny_config, parts, **sources)
    for progress in run:
        if (progress.stage, progress.step) == stop:
            break
    run.close()
    again = [p for p in train_demo(tiny_config, parts, **sources) if p.losses]
    # step 3 lies behind the checkpoint of step 2, so it is done again
    assert again[0].step == 3
    assert again == expected[-len(again) :]
    assert _log(parts) == _log(whole)


def test_a_folder_of_other_tiles_is_refused(tmp_path, tiny_config, sources):
    next(train_demo(tiny_config, tmp_path, **sources))
    with pytest.raises(UsageError, match="another run"):
        next(
            train_demo(
                tiny_config,
                tmp_path,
                **{**sources, "generator_source": sources["test_source"]},
            )
        )


def test_the_command_names_what_is_not_default():
    assert training_command(TrainingConfig()) == "napari-her2 train"
    config = TrainingConfig(seed=2, classifier_steps=5)
    assert training_command(config) == "napari-her2 train --seed 2 --classifier-steps 5"
