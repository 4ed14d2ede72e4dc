from dataclasses import fields, replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.models.config import DEMO, REFERENCE
from napari_her2.training.config import TrainingConfig
from napari_her2.training.config_file import (
    SHIPPED,
    dump_config,
    keep_config,
    load_config,
)

_END = "...\n"


def _write(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_demo_file_holds_the_defaults():
    assert load_config("demo") == TrainingConfig() == load_config()


def test_the_reference_file_holds_what_the_specification_says():
    config = load_config("reference")
    assert config.network == replace(REFERENCE, selector_width=1.0)
    assert (config.pyramid_weight, config.pyramid_scales) == (25.0, (0, 1))
    assert (config.shared_weight, config.domain_weight) == (0.1, 0.02)
    assert (config.generator_rate, config.classifier_rate) == (2e-4, 1e-4)
    assert (config.weight_decay, config.modality_dropout) == (1e-4, 0.2)
    assert (config.classifier_batch, config.classifier_epochs) == (8, 50)
    assert (config.generator_epochs, config.classifier_crop_px) == (100, 512)
    assert config.joint_generator_rate_share == config.joint_gradient_share == 0.1
    assert config.early_stop_patience > 0


def test_a_file_of_ones_own_stands_before_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("reference.yaml") == load_config("reference")
    (tmp_path / "reference.yaml").write_text("seed: 9")
    assert load_config("reference.yaml").seed == 9


def test_epochs_become_steps():
    config = load_config("reference").for_images(3896)
    assert config.generator_cycles == (48700,)
    assert config.classifier_steps == 24350
    assert TrainingConfig().for_images(10) == TrainingConfig()


@settings(deadline=None, max_examples=30)
@given(
    st.builds(
        TrainingConfig,
        seed=st.integers(0, 99),
        generator_cycles=st.lists(st.integers(1, 9), min_size=1).map(tuple),
        generator_rate=st.floats(1e-9, 1e9),
        classifier_epochs=st.none() | st.floats(0.1, 99),
        split=st.sampled_from(["slides", "published", "pseudo_slides"]),
        mixed_precision=st.booleans(),
        network=st.sampled_from([DEMO, REFERENCE]),
    )
)
def test_what_is_written_is_read_back(config):
    assert load_config(settings=_settings(dump_config(config))) == config


def _settings(text):
    return [
        f"{key}={yaml.safe_dump(value, default_flow_style=True).removesuffix(_END)}"
        for key, value in yaml.safe_load(text).items()
    ]


def test_every_setting_is_in_the_demo_file():
    text = (SHIPPED / "demo.yaml").read_text()
    assert all(f"\n{field.name}:" in text for field in fields(TrainingConfig))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sead: 1", "mine.yaml: sead is no setting"),
        ("seed: one", "mine.yaml: seed is 'one'. It must be a whole number"),
        ("seed: 1.5", "seed is 1.5"),
        ("seed: true", "seed is True"),
        ("mixed_precision: 1", "mixed_precision is 1. It must be true or false"),
        ("generator_rate: fast", "generator_rate is 'fast'. It must be a number"),
        ("pyramid_scales: 1", "pyramid_scales is 1. It must be a list"),
        ("pyramid_scales: [a]", "pyramid_scales is 'a'"),
        ("split: patients", "split is 'patients'. It must be one of slides"),
        ("network: huge", "network.size is 'huge'"),
        ("network: {size: demo, depth: 3}", "network.depth is no setting"),
        ("network: {shared_widths: [1, 2]}", "must be a list of 5"),
        ("network: {feature_width: wide}", "network.feature_width is 'wide'"),
        ("seed: 1\nseed: 2", "mine.yaml is no YAML .the key seed stands in it twice"),
        ("- seed", "no mapping"),
        ("seed: [", "is no YAML"),
        ("seed: !!python/object/apply:os.getcwd []", "is no YAML"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(tmp_path, text, problem):
    with pytest.raises(UsageError, match=problem):
        load_config(_write(tmp_path, text))


def test_numbers_may_be_written_as_people_do(tmp_path):
    config = load_config(_write(tmp_path, "generator_rate: 1e-4\nmpp: 1\n"))
    assert (config.generator_rate, config.mpp) == (1e-4, 1.0)
    assert type(config.mpp) is float
    assert load_config(_write(tmp_path, "")) == TrainingConfig()


def test_settings_lie_over_the_file(tmp_path):
    path = _write(tmp_path, "seed: 3\nnetwork: {size: demo, feature_width: 64}")
    config = load_config(path, ["seed=4", "network.n_classes=4", "split=published"])
    assert (config.seed, config.split) == (4, "published")
    assert (config.network.feature_width, config.network.n_classes) == (64, 4)
    for wrong, problem in [
        ("seed", "no setting"),
        ("seed.low=1", "no parts"),
        ("network.depth=1", "the command line: network.depth"),
        ("seed=[", "no YAML"),
    ]:
        with pytest.raises(UsageError, match=problem):
            load_config(path, [wrong])


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_a_folder_keeps_the_settings_of_its_run(tmp_path):
    config = TrainingConfig(seed=3)
    keep_config(config, tmp_path / "run")
    keep_config(replace(config, processes=7), tmp_path / "run")
    with pytest.raises(UsageError, match="holds a run with seed 3, not 4"):
        keep_config(replace(config, seed=4), tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        keep_config(config, tmp_path / "file" / "run")
