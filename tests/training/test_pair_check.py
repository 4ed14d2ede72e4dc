import numpy as np
import pytest
from tests.training.image_folders import bci_folder, picture, write

from napari_her2.core.errors import UsageError
from napari_her2.training.bci import list_bci
from napari_her2.training.pair_check import checked_pairs


def _check(listing, folder, core_px=64):
    run = checked_pairs(listing, core_px, folder / "pairs.json")
    steps = []
    while True:
        try:
            steps.append(next(run).step)
        except StopIteration as end:
            return end.value, steps


def test_broken_pairs_are_listed_and_the_others_kept(tmp_path):
    root = bci_folder(tmp_path / "data", n_train=8, n_test=4)
    whole = (root / "HE/train/00003_train_1+.png").read_bytes()
    (root / "HE/train/00003_train_1+.png").write_bytes(whole[: len(whole) // 2])
    (root / "IHC/train/00006_train_2+.png").write_bytes(b"")
    (root / "IHC/train/00000_train_0.png").write_text("no image")
    write(root / "IHC/test/00000_test_0.png", picture(1, side=96))
    write(root / "HE/test/00003_test_1+.png", picture(1, side=32))
    write(root / "IHC/test/00003_test_1+.png", picture(1, side=32))
    grey = np.zeros((64, 64), np.uint8)
    write(root / "HE/test/00006_test_2+.png", grey)
    checked, steps = _check(list_bci(root), tmp_path)
    assert steps == list(range(1, 13))
    assert len(checked.pairs) == 6
    reasons = {problem.name: problem.reason for problem in checked.problems}
    assert len(reasons) == 6
    assert "damaged" in reasons["train/00003_train_1+"]
    assert "96 × 96 px, its H&E 64 × 64" in reasons["test/00000_test_0"]
    assert "smaller than 64 px" in reasons["test/00003_test_1+"]
    assert "grey" in reasons["test/00006_test_2+"]


def test_the_outcome_is_kept_until_a_file_changes(tmp_path):
    root = bci_folder(tmp_path / "data", n_train=4, n_test=0)
    (root / "IHC/train/00000_train_0.png").write_bytes(b"broken")
    first, _ = _check(list_bci(root), tmp_path)
    again, steps = _check(list_bci(root), tmp_path)
    assert steps == []
    assert again == first
    write(root / "IHC/train/00000_train_0.png", picture(1))
    mended, steps = _check(list_bci(root), tmp_path)
    assert steps
    assert len(mended.pairs) == 4


def test_a_data_set_of_one_readable_pair_is_refused(tmp_path):
    root = bci_folder(tmp_path / "data", n_train=2, n_test=0)
    (root / "IHC/train/00000_train_0.png").write_bytes(b"broken")
    with pytest.raises(UsageError, match="one pair only"):
        _check(list_bci(root), tmp_path)
