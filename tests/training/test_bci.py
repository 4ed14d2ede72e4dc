import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.training.image_folders import bci_folder, picture, write

from napari_her2.core.errors import UsageError
from napari_her2.training.bci import CLASSES, list_bci, parse_name

SUFFIXES = {"0": CLASSES[0], "1+": "1+", "2+": "2+", "3+": "3+"}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_four_suffixes_are_accepted(split, suffix):
    said = parse_name(f"00042_{split}_{suffix}.png")
    assert said is not None
    assert (said.number, said.split, said.label) == (42, split, SUFFIXES[suffix])


@pytest.mark.parametrize(
    "name",
    [
        "00042_train_4+.png",
        "00042_train_0+.png",
        "00042_train_1.png",
        "00042_train_2+.jpg",
        "00042_train_2+.png.png",
        "0042_train_2+.png",
        "00042_val_2+.png",
        "00042_train_2+",
        "a00042_train_2+.png",
        "00042_train_2+.png\n",
        "٠٠٠٤٢_train_2+.png",
    ],
)
def test_anything_else_is_rejected(name):
    assert parse_name(name) is None


@given(st.text(max_size=8))
def test_no_other_suffix_passes(suffix):
    said = parse_name(f"00001_test_{suffix}.png")
    assert (said is not None) == (suffix in SUFFIXES)


def test_zero_is_called_what_it_is():
    assert CLASSES[0] == "0 or 0+, not separated"


def test_pairs_are_the_names_that_both_folders_hold(tmp_path):
    root = bci_folder(tmp_path, n_train=8, n_test=4)
    (root / "IHC/train/00003_train_1+.png").unlink()
    write(root / "IHC/test/00999_test_3+.png", picture(1))
    write(root / "HE/train/notes.png", picture(2))
    write(root / "IHC/train/notes.png", picture(2))
    write(root / "HE/train/00500_test_0.png", picture(3))
    write(root / "IHC/train/00500_test_0.png", picture(3))
    listing = list_bci(root)
    assert [p.name for p in listing.pairs if p.split == "train"] == [
        f"{i * 3:05d}_train_{label}"
        for i, label in enumerate(("0", "1+", "2+", "3+") * 2)
        if i != 1
    ]
    assert {problem.name for problem in listing.problems} == {
        "00003_train_1+.png",
        "00999_test_3+.png",
        "notes.png",
        "00500_test_0.png",
    }
    assert all(pair.slide is None for pair in listing.pairs)
    assert listing.counts()["test"] == dict.fromkeys(CLASSES, 1)


def test_the_count_is_printed_and_another_than_the_release_is_warned_of(tmp_path):
    lines = list_bci(bci_folder(tmp_path)).summary()
    assert lines[0] == "BCI: 24 pairs"
    assert "  train: 16 (0 or 0+, not separated: 4, 1+: 4, 2+: 4, 3+: 4)" in lines
    assert any("24 pairs were found, the release has 4873" in line for line in lines)


def test_side_by_side_images_hold_he_on_the_left(tmp_path):
    he, ihc = picture(1), picture(2)
    for index, label in enumerate(("0", "3+")):
        name = f"{index:05d}_train_{label}.png"
        write(tmp_path / "train" / name, np.concatenate([he, ihc], 1))
    listing = list_bci(tmp_path)
    assert [pair.label for pair in listing.pairs] == [CLASSES[0], "3+"]
    read = listing.pairs[0].read()
    assert np.array_equal(read[0], he)
    assert np.array_equal(read[1], ihc)


def test_the_data_set_is_found_in_the_folder_it_is_unpacked_to(tmp_path):
    bci_folder(tmp_path / "BCI_dataset")
    assert len(list_bci(tmp_path).pairs) == 24


def test_an_empty_folder_and_one_pair_are_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no pair"):
        list_bci(tmp_path)
    bci_folder(tmp_path, n_train=1, n_test=0)
    with pytest.raises(UsageError, match="one pair only"):
        list_bci(tmp_path)
