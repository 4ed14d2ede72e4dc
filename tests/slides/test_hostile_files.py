"""Damaged files of every format open or are refused: nothing else may happen."""

import sys
from contextlib import suppress

import pytest
from hostile_files import CAP_BYTES, damaged_files, is_held, read_all, try_format
from mutations import FORMATS, mutate

from napari_her2.core.errors import SlideError
from napari_her2.slides.slide import open_slide

N_QUICK, N_MORE, N_GUARDED = 120, 250, 4


def check(name, n_files, first):
    outcome = try_format(name, n_files, first)
    assert outcome.n_bad == 0, outcome
    assert outcome.n_opened + outcome.n_refused == n_files
    assert outcome.peak_bytes < CAP_BYTES
    return outcome


@pytest.mark.parametrize("name", FORMATS)
def test_the_sound_slide_opens_and_damage_is_noticed(tmp_path, name):
    path = tmp_path / FORMATS[name].name
    FORMATS[name].write(path)
    with open_slide(path) as slide:
        assert slide.shape == FORMATS[name].shape
    assert check(name, N_QUICK, first=0).n_refused > N_QUICK / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_more_damaged_files(name):
    """The 2,000 of every format are tried by ``python benchmarks/hostile_files.py``."""
    check(name, N_MORE, first=100_000)


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_in_workers(tmp_path, name):
    sound = tmp_path / "sound" / FORMATS[name].name
    sound.parent.mkdir()
    FORMATS[name].write(sound)
    for seed in range(N_GUARDED):
        path = tmp_path / FORMATS[name].name
        mutate(FORMATS[name], sound, path, seed)
        with suppress(SlideError):
            read_all(open_slide(path))


def test_a_file_that_ends_its_process_is_refused_by_name(tmp_path):
    """OpenSlide 4.0 breaks on this one while it opens it."""
    with damaged_files("MRXS") as damaged:
        path = damaged(464)
        with pytest.raises(SlideError, match=r"crashed|cannot read it"):
            open_slide(path)
    assert is_held("MRXS", 464)


_BAD_CHILD = """
import json, os, sys, time
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    if seed == 3:
        os.abort()
    if seed == 5:
        time.sleep(60)
    end = "escaped" if seed == 4 else "refused"
    report = dict(seed=seed, end=end, error="KeyError", seconds=0, peak_bytes=1)
    print(json.dumps(report), flush=True)
"""


def test_the_harness_sees_what_a_file_does_to_its_process(monkeypatch):
    monkeypatch.setattr("hostile_files.HANG_S", 1.0)
    child = (sys.executable, "-c", _BAD_CHILD)
    outcome = try_format("any", 6, 2, child, held=lambda name, seed: seed == 3)
    assert (outcome.crashed, outcome.hung) == ([3], [5])
    assert outcome.not_held == [5]
    assert outcome.escaped == ["seed 4: KeyError"]
    assert (outcome.n_refused, outcome.n_bad) == (3, 2)
