"""Exports appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.core.records import RESEARCH_USE
from napari_her2.export.scores import export_scores

HEAD = "ab" * 32


def test_both_files_are_written_and_say_what_they_are_for(records, tmp_path):
    paths = export_scores(records, tmp_path / "new" / "folder", HEAD)

    assert [path.name for path in paths] == ["scores.csv", "scores.json"]
    for path in paths:
        assert RESEARCH_USE in path.read_text(encoding="utf-8")
    assert sorted(os.listdir(paths[0].parent)) == ["scores.csv", "scores.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_others_may_read_an_export_where_they_may_read_any_new_file(records, tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    for path in export_scores(records, tmp_path, HEAD):
        assert path.stat().st_mode == usual.stat().st_mode


def test_the_same_records_give_the_same_bytes(records, tmp_path):
    first = [path.read_bytes() for path in export_scores(records, tmp_path, HEAD)]
    again = [path.read_bytes() for path in export_scores(records, tmp_path, HEAD)]
    assert first == again


@pytest.mark.parametrize("n_before_full", [0, 1])
def test_a_full_disk_keeps_the_old_export(
    records, tmp_path, monkeypatch, n_before_full
):
    export_scores(records[:1], tmp_path, HEAD)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    written = []
    flush = os.fsync

    def full(handle):
        if len(written) == n_before_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(handle)
        flush(handle)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        export_scores(records, tmp_path, HEAD)

    assert caught.value.path.name == ("scores.csv", "scores.json")[n_before_full]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_a_file_that_cannot_be_replaced_is_named(records, tmp_path, monkeypatch):
    def locked(self, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", locked)
    with pytest.raises(StorageError, match=r"scores\.csv.*close the file"):
        export_scores(records, tmp_path, HEAD)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(records, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageError, match="choose another folder"):
        export_scores(records, file, HEAD)
    assert file.read_text() == "x"


def test_nothing_is_not_exported(tmp_path):
    with pytest.raises(UsageError, match="nothing to export"):
        export_scores([], tmp_path, HEAD)
    assert list(tmp_path.iterdir()) == []
