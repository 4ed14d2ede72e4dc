"""A session that opens and closes cases all day stays as small as it was."""

import gc
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_her2.app.session import Session
from napari_her2.review.journal import Journal

WARM_UP = 30
MAX_GROWTH_BYTES = 24 << 20
"""The journal's 200 entries are on disk; one kept pair of slides is 2 MB."""


@pytest.mark.slow
@pytest.mark.skipif(psutil.WINDOWS, reason="no count of descriptors there")
@pytest.mark.parametrize(("replaces", "times"), [(False, 200), (True, 40)])
def test_200_cases(
    journal: Journal,
    own_folders: Path,
    virtual_case: Path,
    replaces: bool,
    times: int,
) -> None:
    session = Session(journal, cache_dir=own_folders / "cache")
    process = psutil.Process()
    pairs = []

    def look_at_a_case() -> None:
        session.open_case(virtual_case)
        pair = session.state.pair
        assert pair is not None
        for _, slide in pair.slides:
            for level in slide.levels:
                np.asarray(level)
        pairs.append(weakref.ref(pair.reference.levels[0]))
        del pair
        if not replaces:
            session.close_case()

    def now() -> tuple[int, int, int]:
        gc.collect()
        memory = process.memory_info().rss
        return process.num_fds(), process.num_threads(), memory

    for _ in range(WARM_UP):
        look_at_a_case()
    files, threads, memory = now()
    for _ in range(times):
        look_at_a_case()
    files_after, threads_after, memory_after = now()
    assert files_after <= files
    assert threads_after <= threads
    assert memory_after - memory < MAX_GROWTH_BYTES
    session.close_case()
    gc.collect()
    assert process.num_fds() <= files
    assert not any(pair() for pair in pairs)
