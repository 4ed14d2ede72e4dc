"""The shared memory of decoded blocks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.case import read_case
from napari_her2.slides.pair import open_pair


def block(value=0, n_bytes=100):
    return np.full(n_bytes, value, np.uint8)


def test_a_block_is_loaded_once_even_by_many_threads():
    cache = BlockCache()
    started, go = threading.Barrier(4), threading.Event()
    loads = []

    def load():
        loads.append(1)
        go.wait(5)
        return block(7)

    def ask(_):
        started.wait(5)
        return cache.get(("key",), load)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(ask, i) for i in range(4)]
        threading.Timer(0.1, go.set).start()
        results = [future.result() for future in futures]
    assert len(loads) == 1
    assert all(result is results[0] for result in results)


def test_the_blocks_used_last_stay_within_the_bound():
    cache = BlockCache(capacity_bytes=300)
    for key in "abc":
        cache.get((key,), lambda: block())
    cache.get(("a",), lambda: pytest.fail("a is there"))
    cache.get(("d",), lambda: block())
    assert cache.n_bytes == 300
    cache.get(("a",), lambda: pytest.fail("a was used last"))
    loaded = []
    cache.get(("b",), lambda: loaded.append(1) or block())
    assert loaded


def test_a_block_larger_than_the_bound_is_still_given():
    cache = BlockCache(capacity_bytes=10)
    assert cache.get(("a",), lambda: block(3))[0] == 3
    cache.get(("b",), lambda: block())
    assert cache.n_bytes == 100


def test_a_failure_reaches_the_caller_and_is_not_kept():
    cache = BlockCache()

    def fail():
        raise ValueError("damaged")

    for _ in range(2):
        with pytest.raises(ValueError, match="damaged"):
            cache.get(("a",), fail)
    assert cache.get(("a",), lambda: block(1))[0] == 1


def test_clear_frees_everything():
    cache = BlockCache()
    cache.get(("a",), lambda: block())
    cache.clear()
    assert cache.n_bytes == 0


def test_what_one_owner_has_is_given_back():
    cache = BlockCache()
    mine, other = object(), object()
    for owner in (mine, other):
        for row in range(3):
            cache.get((owner, row, 0), block)
    cache.forget(mine)
    assert cache.n_bytes == 300
    cache.get((other, 1, 0), lambda: pytest.fail("it is still there"))


def test_the_slides_of_a_case_share_one_bound(virtual_case):
    with open_pair(read_case(virtual_case)) as pair:
        (cache,) = {slide._cache for _, slide in pair.slides}
        cache.clear()
        cache.capacity_bytes = 1_000_000
        for _, slide in pair.slides:
            for level in slide.levels:
                np.asarray(level)
                assert 0 < cache.n_bytes <= 1_000_000
        pair.he.close()
        assert cache.n_bytes > 0  # what the other slide has stays
    assert cache.n_bytes == 0
