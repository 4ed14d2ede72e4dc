"""Training on a small folder that is laid out as BCI, from files to a bundle."""

from dataclasses import replace

import numpy as np
import pytest
from tests.training.image_folders import bci_folder, picture, write

from napari_her2.core.errors import UsageError
from napari_her2.models.bundle import load_bundle
from napari_her2.models.network import load_network
from napari_her2.training import launch as launch_module
from napari_her2.training.bci import CLASSES, list_bci
from napari_her2.training.config import TrainingConfig
from napari_her2.training.data_sets import list_data, open_data
from napari_her2.training.launch import launch
from napari_her2.training.progress import TrainStage
from napari_her2.training.staged_run import StagedRun


@pytest.fixture
def config(tiny_config) -> TrainingConfig:
    return replace(
        tiny_config,
        network=replace(tiny_config.network, n_classes=4),
        core_px=64,
        halo_px=64,
        head_steps=0,
        selector_steps=1,
        generator_epochs=1,
        classifier_epochs=2,
        joint_epochs=1,
        split="published",
        validation_share=0.25,
        early_stop_patience=5,
    )


def mean_colour():
    return lambda images: images.mean((2, 3))


@pytest.fixture(autouse=True)
def _plain_encoder(monkeypatch):
    """The leakage index needs no bundle here."""
    defaults = (mean_colour,)
    monkeypatch.setattr(open_data, "__defaults__", defaults)


def _stages(progress):
    return list(dict.fromkeys(step.stage for step in progress))


@pytest.mark.slow
def test_bci_from_a_folder_to_a_bundle(tmp_path, config):
    root = bci_folder(tmp_path / "data")
    (root / "IHC/train/00000_train_0.png").write_bytes(b"broken")
    out = tmp_path / "run"
    progress = list(launch(config, out, source=f"bci:{root}"))
    assert _stages(progress) == [
        TrainStage.TILES,
        TrainStage.HE_TO_IHC,
        TrainStage.IHC_TO_HE,
        TrainStage.SELECTOR,
        TrainStage.CLASSIFIER,
        TrainStage.JOINT,
        TrainStage.SCORING,
    ]
    # 15 readable training pairs, 4 of them to validate: 3 batches of 4
    assert sum(p.stage is TrainStage.CLASSIFIER for p in progress) == 6
    bundle = load_bundle(out / "bundle")
    card = bundle.card
    assert card.classes == CLASSES
    assert card.name == "bci"
    assert "non-commercial" in card.licence
    assert card.scores["n_test"] == 8
    assert card.scores["arms"]["H&E and IHC"]["majority_baseline"] == 0.25
    assert len(card.scores["arms"]) == 5
    assert "patches, not patients" in card.scores["leakage"]["caveat"]
    assert 0 <= card.scores["leakage"]["index"] <= 1
    network = load_network(bundle)
    assert network.config.n_classes == 4
    assert "seed: 1" in (out / "bundle/settings.txt").read_text()
    assert (
        list(launch(config, out, source=f"bci:{root}"))[-1].stage is TrainStage.SCORING
    )
    assert load_bundle(out / "bundle").sha256 == bundle.sha256
    with pytest.raises(UsageError, match="holds a run on bci:"):
        list(launch(config, out, source=f"pairs:{root}"))


@pytest.mark.slow
def test_stages_one_at_a_time_give_what_all_give(tmp_path, config):
    source = f"bci:{bci_folder(tmp_path / 'data')}"
    list(launch(config, tmp_path / "all", source=source))
    steps = tmp_path / "steps"
    for too_early in ("b", "c"):
        with pytest.raises(UsageError, match="is not trained in"):
            list(launch(config, steps, stage=too_early, source=source))
    list(launch(config, steps, stage="a", source=source))
    assert not (steps / "bundle").exists()
    with pytest.raises(UsageError, match=r"classifier.*Train stage b first"):
        list(launch(config, steps, stage="c", source=source))
    list(launch(config, steps, stage="b", source=source))
    before = load_bundle(steps / "bundle").sha256
    list(launch(config, steps, stage="c", source=source))
    after = load_bundle(steps / "bundle").sha256
    assert before != after == load_bundle(tmp_path / "all/bundle").sha256


def test_a_single_class_is_refused_before_anything_is_trained(tmp_path, config):
    for index in range(6):
        name = f"{index:05d}_{'test' if index > 3 else 'train'}_3+.png"
        for stain in ("HE", "IHC"):
            write(tmp_path / "data" / stain / name[6:-7] / name, picture(index))
    run = launch(config, tmp_path / "run", source=f"bci:{tmp_path / 'data'}")
    with pytest.raises(UsageError, match=r"same class \(3\+\)"):
        list(run)
    assert not (tmp_path / "run/he_to_ihc.safetensors").exists()


def test_other_classes_than_the_networks_are_refused(tmp_path, config):
    root = bci_folder(tmp_path / "data")
    wrong = replace(config, network=replace(config.network, n_classes=6))
    with pytest.raises(UsageError, match=r"n_classes: 4"):
        list(launch(wrong, tmp_path / "run", source=f"bci:{root}"))


def test_data_without_scores_trains_generators_only(tmp_path, config):
    for folder in ("trainA", "trainB", "valA", "valB"):
        for slide in range(4):
            path = tmp_path / "data" / folder / f"S{slide}_{folder[0] == 't':d}.png"
            write(path, picture(slide))
    source = f"mist:{tmp_path / 'data'}"
    config = replace(config, split="slides", test_share=0.25)
    with pytest.raises(UsageError, match="no HER2 scores"):
        list(launch(config, tmp_path / "run", source=source))
    progress = list(launch(config, tmp_path / "run", stage="a", source=source))
    assert _stages(progress)[-1] is TrainStage.IHC_TO_HE


def _opened(listing, config, out):
    run = open_data("bci", listing, config, out)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def test_pseudo_slides_keep_alike_pairs_together(tmp_path, config):
    root = tmp_path / "data"
    for index in range(48):
        slide = index % 8  # two slides for each label
        name = f"{index:05d}_train_{('0', '1+', '2+', '3+')[slide % 4]}.png"
        colour = np.random.default_rng(slide).integers(60, 250, 3)
        image = np.clip(colour + picture(index) // 60, 0, 255).astype(np.uint8)
        write(root / "HE/train" / name, image)
        write(root / "IHC/train" / name, image)
    asked = replace(config, split="pseudo_slides", test_share=0.25)
    data = _opened(list_bci(root), asked, tmp_path / "run")
    slides = [int(pair.name[:5]) % 8 for pair in data.tiles.listing.pairs]
    parts = [data.split.train, data.split.validation, data.split.test]
    held = [{slides[row] for row in part} for part in parts]
    assert sum(map(len, held)) == 8
    patches = replace(config, split="slides", test_share=0.25)
    mixed = _opened(list_bci(root), patches, tmp_path / "run")
    assert mixed.leakage["index"] > data.leakage["index"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [("bci", "is no data set"), ("cifar:x", "is no data set"), ("bci:no", "no folder")],
)
def test_a_wrong_data_set_is_refused(source, problem):
    with pytest.raises(UsageError, match=problem):
        list_data(source)


def test_stage_c_without_steps_is_refused(tmp_path, config):
    root = bci_folder(tmp_path / "data")
    config = replace(config, joint_epochs=None)
    data = _opened(list_bci(root), config, tmp_path / "run")
    with pytest.raises(UsageError, match="no steps"):
        list(StagedRun(config, tmp_path / "run", data).train("c"))


def test_several_processes_do_not_make_the_demo(tmp_path, config, monkeypatch):
    from contextlib import nullcontext

    monkeypatch.setattr(launch_module, "processes", lambda: nullcontext(2))
    with pytest.raises(UsageError, match="one process"):
        list(launch(config, tmp_path))
