from pathlib import Path

import pytest
import yaml
from tests.training.image_folders import bci_folder

TINY = """
network:
  size: demo
  generator_width: 4
  discriminator_width: 4
  shared_widths: [4, 4, 8, 8, 8]
  feature_width: 8
  attention_width: 4
  n_classes: 4
core_px: 64
generator_cycles: [2]
generator_crop_px: 64
generator_batch: 2
validation_share: 0.25
split: published
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_settings_of_file_options_and_set_are_printed(command, tiny) -> None:
    code, out, _ = command(
        "train", "--config", tiny, "--print-config", "--seed", 5,
        "--set", "generator_cycles=[3, 1]", "--set", "network.feature_width=16",
    )  # fmt: skip
    assert code == 0
    values = yaml.safe_load(out)
    assert (values["seed"], values["core_px"]) == (5, 64)
    assert values["generator_cycles"] == [3, 1]
    assert values["network"]["feature_width"] == 16
    assert values["network"]["generator_width"] == 4


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--out", "run", "--config", "none.yaml"], "none.yaml cannot be read"),
        (["--out", "run", "--set", "sead=1"], "sead is no setting"),
        (["--out", "run", "--data", "cifar:x"], "is no data set"),
        (["--out", "run", "--data", "bci:missing"], "no folder missing"),
        ([], "The folder of the run is missing"),
    ],
)
def test_what_makes_no_sense_is_one_line(command, arguments, problem) -> None:
    code, _, error = command("train", *arguments)
    assert code == 2
    assert problem in error
    assert "Traceback" not in error


def test_stage_a_on_a_folder_of_bci(command, tiny, tmp_path: Path) -> None:
    data, run = bci_folder(tmp_path / "data"), tmp_path / "run"
    (data / "HE/test/00000_test_0.png").unlink()
    asked = ("train", "--stage", "a", "--config", tiny, "--data", f"bci:{data}")
    code, out, error = command(*asked, "--out", run)
    assert code == 0, error
    assert out.strip() == str(run)
    assert "BCI: 23 pairs" in error
    assert "left out: 00000_test_0.png: there is no image of that name" in error
    assert "warning: 23 pairs were found, the release has 4873" in error
    assert (run / "he_to_ihc.safetensors").exists()
    assert (run / "ihc_to_he.safetensors").exists()
    log = (run / "training.csv").read_text()
    assert "he_to_ihc,2,pyramid_l1," in log
    code, _, error = command(*asked, "--out", run, "--seed", 2)
    assert code == 2
    assert "holds a run with seed 1, not 2" in error
