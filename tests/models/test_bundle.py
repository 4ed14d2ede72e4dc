import json
import pickle  # noqa: TID251  (to build the file that must be refused)
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from napari_her2.core.errors import BundleError
from napari_her2.models.bundle import (
    copy_bundle,
    load_bundle,
    shipped_bundle,
    write_bundle,
)
from napari_her2.models.inspection import inspect_bundle


def _edit_card(bundle, **changes):
    path = bundle.path / "card.json"
    values = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del values[name]
        else:
            values[name] = value
    path.write_text(json.dumps(values))


def test_a_bundle_comes_back_as_written(bundle, card):
    loaded = load_bundle(bundle.path)
    assert loaded == bundle
    assert loaded.card.classes == card.classes
    assert set(loaded.card.files) == {
        "classifier.safetensors",
        "he_to_ihc.safetensors",
        "ihc_to_he.safetensors",
        "training.csv",
    }
    assert len(loaded.sha256) == 64


def test_identity_changes_with_the_card_and_with_the_weights(
    bundle, tmp_path, card, network
):
    state = {k: v + 1 for k, v in network.classifier.state_dict().items()}
    other = write_bundle(tmp_path / "other", card, {"classifier": state})
    assert other.sha256 != bundle.sha256
    before = bundle.sha256
    _edit_card(bundle, version="2")
    assert load_bundle(bundle.path).sha256 != before


def test_a_changed_byte_is_noticed(bundle):
    path = bundle.path / "classifier.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"classifier\.safetensors was changed"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": None}, "lacks the field licence"),
        ({"colour": "brown"}, "unknown field colour"),
        ({"mpp": "0.5"}, "mpp in the card has a wrong type"),
        ({"mpp": True}, "mpp in the card has a wrong type"),
        ({"mpp": 500}, "absurd"),
        ({"core_px": 0}, "no core"),
        ({"core_px": 64.5}, "core_px in the card has a wrong type"),
        ({"inputs": ["ct"]}, "inputs"),
        ({"classes": ["0", "0"]}, "classes"),
        ({"classes": ["0", 1]}, "classes in the card has a wrong type"),
        ({"classes": ["0", "4+"]}, "4\\+"),
        ({"classes": ["0", "1+"]}, "made for the classes"),
        ({"intended_use": "diagnosis"}, "research use only"),
        ({"schema": "napari-her2/bundle/9"}, "schema"),
        ({"name": " "}, "name in the card has a wrong type"),
        ({"parameters": []}, "parameters in the card has a wrong type"),
        ({"files": {"training.csv": "abc"}}, "hexadecimal"),
    ],
)
def test_a_wrong_card_is_refused(bundle, changes, message):
    _edit_card(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(bundle.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_card_that_is_no_json_object_is_refused(bundle, text):
    (bundle.path / "card.json").write_text(text)
    with pytest.raises(BundleError, match="card"):
        load_bundle(bundle.path)


def test_a_missing_folder_card_or_file_is_refused(bundle, tmp_path):
    with pytest.raises(BundleError, match="not a bundle folder"):
        load_bundle(tmp_path / "nowhere")
    (bundle.path / "training.csv").unlink()
    with pytest.raises(BundleError, match="missing"):
        load_bundle(bundle.path)
    (bundle.path / "card.json").unlink()
    with pytest.raises(BundleError, match="card cannot be read"):
        load_bundle(bundle.path)


def test_a_file_nobody_listed_is_refused(bundle):
    (bundle.path / "extra.txt").write_text("hello")
    with pytest.raises(BundleError, match=r"extra\.txt is not listed"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".PT"])
def test_a_pickle_by_name_is_refused(bundle, suffix):
    (bundle.path / f"weights{suffix}").write_bytes(b"")
    with pytest.raises(BundleError, match="pickle"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_by_content_is_refused(bundle, protocol):
    path = bundle.path / "he_to_ihc.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    with pytest.raises(BundleError, match="pickle"):
        load_bundle(bundle.path)


def test_an_archive_is_refused(bundle):
    with zipfile.ZipFile(bundle.path / "he_to_ihc.safetensors", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(BundleError, match="pickle or an archive"):
        load_bundle(bundle.path)


def _replace_file(bundle, name, content):
    import hashlib

    (bundle.path / name).write_bytes(content)
    files = dict(bundle.card.files)
    files[name] = hashlib.sha256(content).hexdigest()
    _edit_card(bundle, files=files)


def test_weights_of_another_format_are_refused(bundle):
    _replace_file(bundle, "he_to_ihc.safetensors", b"GGUF" + bytes(64))
    with pytest.raises(BundleError, match="not a safetensors file"):
        load_bundle(bundle.path)


def test_a_listed_file_of_an_unknown_kind_is_refused(bundle):
    _replace_file(bundle, "weights.onnx", b"onnx")
    with pytest.raises(BundleError, match="neither safetensors nor text"):
        load_bundle(bundle.path)


def test_a_header_length_that_looks_like_a_pickle_is_none(bundle):
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(0x280)
    content = (0x280).to_bytes(8, "little") + header + bytes(4)
    assert content.startswith(b"\x80\x02")
    _replace_file(bundle, "he_to_ihc.safetensors", content)
    assert load_bundle(bundle.path)


def test_weights_that_are_not_finite_are_refused(bundle, tmp_path):
    save_file({"a": torch.tensor([1.0, float("nan")])}, tmp_path / "nan")
    content = (tmp_path / "nan").read_bytes()
    _replace_file(bundle, "he_to_ihc.safetensors", content)
    with pytest.raises(BundleError, match="not finite"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "sub/file.txt", "..", "a\\b.txt"]
)
def test_a_path_out_of_the_bundle_is_refused(bundle, name):
    (bundle.path.parent / "secret.txt").write_text("secret")
    _edit_card(bundle, files={**bundle.card.files, name: "0" * 64})
    with pytest.raises(BundleError, match="points outside"):
        load_bundle(bundle.path)


def test_a_link_out_of_the_bundle_is_refused(bundle, tmp_path):
    outside = tmp_path / "outside.csv"
    file = bundle.path / "training.csv"
    outside.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(outside)
    with pytest.raises(BundleError, match="points outside"):
        load_bundle(bundle.path)


def test_verifying_loads_no_torch(bundle):
    code = (
        "import sys; from napari_her2.models.bundle import load_bundle;"
        "from napari_her2.models.inspection import inspect_bundle;"
        f"inspect_bundle(load_bundle({str(bundle.path)!r}));"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_classes_in_another_order_are_refused(bundle, card):
    _edit_card(bundle, classes=list(reversed(card.classes)))
    with pytest.raises(BundleError, match=r"classifier.safetensors was made for"):
        load_bundle(bundle.path)


def test_a_bundle_names_its_parts(bundle):
    assert bundle.parts == ("classifier", "he_to_ihc", "ihc_to_he")
    assert bundle.has_part("classifier")
    assert not bundle.has_part("training")


def test_a_copy_is_the_same_bundle(bundle, tmp_path):
    assert copy_bundle(bundle, tmp_path / "copy").sha256 == bundle.sha256


def test_a_copy_overwrites_nothing(bundle, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="not an empty folder"):
        copy_bundle(bundle, tmp_path / "full")


def test_a_folder_that_cannot_be_written_is_said(bundle, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("shutil.copyfile", refuse)
    with pytest.raises(BundleError, match="cannot be written"):
        copy_bundle(bundle, tmp_path / "copy")


def test_no_permission_to_write_is_said(card, network, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("os.replace", refuse)
    states = {"classifier": network.classifier.state_dict()}
    with pytest.raises(BundleError, match=r"cannot be written \(read-only\)"):
        write_bundle(tmp_path / "new", card, states)


def test_inspection_shows_what_every_part_holds(bundle, network):
    found = inspect_bundle(bundle)
    assert found["sha256"] == bundle.sha256
    assert found["licence"] == "BSD-3-Clause"
    state = network.classifier.state_dict()
    held = found["parts"]["classifier"]
    assert held["n_tensors"] == len(state)
    assert held["n_values"] == sum(tensor.numel() for tensor in state.values())
    assert json.dumps(found)


def test_shipped_bundles_lie_in_the_package():
    assert shipped_bundle("demo").parts[-3:] == ("napari_her2", "bundles", "demo")
