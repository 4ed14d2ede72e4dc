import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file


@pytest.fixture
def run_dir(tmp_path: Path, tiny_bundle_path: Path) -> Path:
    shutil.copytree(tiny_bundle_path, tmp_path / "run" / "bundle")
    return tmp_path / "run"


def test_a_finished_run_is_exported_and_verified(command, run_dir, tmp_path) -> None:
    out = tmp_path / "exported"
    code, said, _ = command("bundle", "export", run_dir, "--out", out)
    assert code == 0
    sha256 = said.split()[0]
    code, said, _ = command("bundle", "verify", out)
    assert code == 0
    assert said.startswith(sha256)
    code, said, _ = command("bundle", "inspect", out, "--json")
    assert code == 0
    found = json.loads(said)
    assert found["sha256"] == sha256
    assert set(found["parts"]) == {"classifier", "he_to_ihc", "ihc_to_he"}
    code, said, _ = command("bundle", "inspect", out)
    assert code == 0
    assert "research use only" in said


def test_a_run_under_way_is_not_exported(command, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "he_to_ihc.safetensors").write_bytes(b"")
    out = tmp_path / "b"
    code, _, error = command("bundle", "export", tmp_path / "run", "--out", out)
    assert code == 7
    assert "has not ended, checkpoints: he_to_ihc" in error
    code, _, error = command("bundle", "export", tmp_path / "none", "--out", out)
    assert code == 5
    assert not out.exists()


def _spoil(folder: Path, name: str, change) -> None:
    """Change a weight and write the bundle as if it had been made like that."""
    from napari_her2.models.bundle import load_bundle, write_bundle

    opened = load_bundle(folder)
    states = {part: load_file(opened.weights_path(part)) for part in opened.parts}
    change(states)
    shutil.rmtree(folder)
    try:
        write_bundle(folder, opened.card, states)
    except Exception:  # noqa: BLE001  (it is written, and refused at once)
        assert name == "nan"


def _wrong_shape(states):
    weight = states["classifier"]["head.linear.weight"]
    states["classifier"]["head.linear.weight"] = weight[:4].clone()


def _nan(states):
    states["he_to_ihc"]["tail.1.bias"][0] = float("nan")


def _missing(states):
    del states["he_to_ihc"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("shape", _wrong_shape, "head.linear.weight"),
        ("nan", _nan, "not finite"),
        ("missing", _missing, "no weights for the he_to_ihc"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    command, run_dir, name, change, message
) -> None:
    folder = run_dir / "bundle"
    _spoil(folder, name, change)
    code, _, error = command("bundle", "verify", folder)
    assert code == 5
    assert message in error


def test_another_class_list_is_refused(command, run_dir) -> None:
    card = run_dir / "bundle" / "card.json"
    values = json.loads(card.read_text())
    values["classes"] = values["classes"][::-1]
    card.write_text(json.dumps(values))
    code, _, error = command("bundle", "verify", run_dir / "bundle")
    assert code == 5
    assert "made for the classes" in error


def test_weights_of_another_network_are_refused(command, run_dir, tmp_path) -> None:
    file = run_dir / "bundle" / "classifier.safetensors"
    save_file({"a": load_file(file)["head.linear.bias"]}, file)
    code, _, error = command("bundle", "verify", run_dir / "bundle")
    assert code == 5
    assert "was changed" in error


def test_a_calibration_that_makes_no_sense_is_refused(command, run_dir) -> None:
    card = run_dir / "bundle" / "card.json"
    values = json.loads(card.read_text())
    values["parameters"]["calibration"] = {"alpha": 2}
    card.write_text(json.dumps(values))
    code, _, error = command("bundle", "verify", run_dir / "bundle")
    assert code == 5
    assert "calibration" in error
