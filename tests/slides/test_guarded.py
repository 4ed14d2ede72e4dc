"""A slide's worker may crash, hang or want too much: only its slide suffers."""

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import psutil
import pytest

from napari_her2.core.errors import SlideError
from napari_her2.slides.decoder_limits import usual_limits
from napari_her2.slides.formats import open_source
from napari_her2.slides.guarded import HAS_WORKERS, open_guarded
from napari_her2.slides.slide import open_slide
from napari_her2.slides.source import SlideSource
from napari_her2.slides.source_form import form_of, read_form

pytestmark = pytest.mark.skipif(not HAS_WORKERS, reason="no workers here")


@pytest.fixture
def guarded():
    """Open sources that are closed at the end, with limits of one's own."""
    opened = []

    def make(path, **changes):
        limits = dataclasses.replace(usual_limits(), **changes)
        opened.append(open_guarded(path, limits))
        return opened[-1]

    yield make
    for source in opened:
        source.close()


@pytest.fixture
def slide_path(tiff, noise):
    """A slide of 16 blocks."""
    return tiff(noise(256, 256), "slide.tif", tile=(64, 64), compression="zlib")


def decoder_of(source):
    return source.levels[0]._guard._decoder


def stop(source):
    """Have the worker do nothing, as a decoder that never returns."""
    worker = psutil.Process(decoder_of(source).pid)
    worker.suspend()
    while worker.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    return worker


def test_the_worker_gives_what_the_format_gives(tiff, noise, tmp_path, guarded):
    paths = [
        tiff(noise(300, 200), "a.tif", tile=(64, 48), compression="jpeg"),
        tiff(noise(100, 90), "b.tif", rowsperstrip=7),
        tmp_path / "c.png",
    ]
    paths[2].write_bytes(imagecodecs.png_encode(noise(700, 600)))
    for path in paths:
        direct, through = open_source(path), guarded(path)
        assert read_form(form_of(through)) == read_form(form_of(direct))
        for ours, theirs in zip(through.levels, direct.levels, strict=True):
            rows, cols = (
                -(-a // b) for a, b in zip(ours.shape, ours.block_px, strict=True)
            )
            for row in range(rows):
                for col in range(cols):
                    block = ours.read_block(row, col)
                    assert np.array_equal(block, theirs.read_block(row, col))
        direct.close()


def test_every_field_of_a_source_is_carried(slide_path):
    source = open_source(slide_path)
    carried = set(form_of(source)) | {"close", "icc"}  # the worker converts colours
    assert carried == {field.name for field in dataclasses.fields(SlideSource)}
    source.close()


def test_many_threads_read_at_once(slide_path, guarded, noise):
    source, image = guarded(slide_path), noise(256, 256)
    rng = np.random.default_rng(0)
    places = [tuple(place) for place in rng.integers(0, 4, (400, 2)).tolist()]

    def is_right(place):
        row, col = place
        wanted = image[64 * row : 64 * row + 64, 64 * col : 64 * col + 64]
        return np.array_equal(source.levels[0].read_block(row, col), wanted)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(is_right, places))


def test_what_a_format_refuses_is_refused_in_the_same_words(tmp_path, noise, guarded):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(noise(20, 20))[:-30])
    with pytest.raises(SlideError) as direct:
        open_source(path)
    with pytest.raises(SlideError) as through:
        guarded(path)
    assert through.value.args == direct.value.args


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_is_an_error_on_that_slide_and_the_next_read_goes_on(
    slide_path, tiff, noise, guarded, how
):
    source = guarded(slide_path)
    other = guarded(tiff(noise(64, 64, seed=1), "other.tif"))
    before = source.levels[0].read_block(1, 1)
    os.kill(decoder_of(source).pid, how)
    decoder_of(source)._process.wait()
    assert np.array_equal(source.levels[0].read_block(1, 1), before)
    assert np.array_equal(other.levels[0].read_block(0, 0), noise(64, 64, seed=1))


def test_a_crash_under_a_read_names_what_happened(slide_path, guarded):
    source = guarded(slide_path)
    timer = threading.Timer(0.3, stop(source).kill)
    timer.start()
    with pytest.raises(SlideError, match=r"crashed \(SIGKILL\)"):
        source.levels[0].read_block(0, 0)
    timer.join()
    assert source.levels[0].read_block(0, 0).shape == (64, 64, 3)


def test_a_hang_ends_at_its_time_limit(slide_path, guarded):
    source = guarded(slide_path, block_s=0.4)
    stop(source)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(source.levels[0].read_block, 0, col) for col in range(4)]
        for read in reads:
            with pytest.raises(SlideError, match=r"longer than 0\.4 s"):
                read.result()
    assert time.monotonic() - began < 5
    assert source.levels[0].read_block(2, 2).shape == (64, 64, 3)


def test_opening_may_not_take_for_ever(slide_path, guarded):
    with pytest.raises(SlideError, match=r"longer than 0\.001 s"):
        guarded(slide_path, open_s=0.001)


def test_a_block_that_kills_twice_is_left_alone_and_then_the_slide(slide_path, guarded):
    source = guarded(slide_path, block_s=0.2, restarts=3)

    def stopped(row, col):
        stop(source)
        with pytest.raises(SlideError, match="longer than"):
            source.levels[0].read_block(row, col)

    stopped(0, 0)
    source.levels[0].read_block(0, 1)
    stopped(0, 0)
    source.levels[0].read_block(0, 1)
    with pytest.raises(SlideError, match="died twice"):
        source.levels[0].read_block(0, 0)
    stopped(1, 0)
    source.levels[0].read_block(0, 1)
    stopped(1, 1)
    with pytest.raises(SlideError, match="died too often"):
        source.levels[0].read_block(0, 1)


def test_a_file_that_changed_is_not_read_on(slide_path, guarded, tiff, noise):
    source = guarded(slide_path)
    tiff(noise(256, 256, seed=9), "slide.tif", tile=(64, 64), compression="zlib")
    os.kill(decoder_of(source).pid, signal.SIGKILL)
    decoder_of(source)._process.wait()
    with pytest.raises(SlideError, match="changed while it was open"):
        source.levels[0].read_block(0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds to the cap")
def test_a_memory_bomb_is_refused_and_this_process_does_not_grow(tmp_path, guarded):
    path = tmp_path / "bomb.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((12000, 12000, 3), np.uint8)))
    before = psutil.Process().memory_info().rss
    with pytest.raises(SlideError, match="too large"):
        guarded(path, memory_bytes=300 << 20)
    assert psutil.Process().memory_info().rss - before < 64 << 20
    assert guarded(path).levels[0].shape == (12000, 12000)


def test_the_worker_can_write_nothing_and_dumps_no_core(slide_path, guarded):
    process = psutil.Process(decoder_of(guarded(slide_path)).pid)
    if not hasattr(process, "rlimit"):
        pytest.skip("limits of another process are told on Linux alone")
    assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    cap = usual_limits().memory_bytes
    assert process.rlimit(psutil.RLIMIT_DATA) == (cap, cap)


def test_closing_ends_the_worker_and_the_reads_under_way(slide_path, guarded):
    source = guarded(slide_path)
    process = decoder_of(source)._process
    stop(source)
    with ThreadPoolExecutor(20) as pool:
        reads = [pool.submit(source.levels[0].read_block, 0, 0) for _ in range(20)]
        time.sleep(0.2)
        source.close()
        source.close()
        for read in reads:
            with pytest.raises(SlideError, match="was closed"):
                read.result(timeout=5)
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(SlideError, match="was closed"):
        source.levels[0].read_block(0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness there")
def test_a_thread_that_gives_way_is_read_for_with_low_priority(slide_path, guarded):
    source = guarded(slide_path)
    used = []
    ask = decoder_of(source)._ask
    decoder_of(source)._ask = lambda index, *rest: (
        used.append(index) or ask(index, *rest)
    )

    def read():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        return source.levels[0].read_block(0, 0)

    source.levels[0].read_block(0, 1)
    before = os.getpriority(os.PRIO_PROCESS, os.getpid())
    thread = threading.Thread(target=read)
    if before < 5:
        thread.start()
        thread.join()
        assert [index % 2 for index in used] == [0, 1]
    pid = decoder_of(source).pid
    levels = {
        os.getpriority(os.PRIO_PROCESS, thread.id)
        for thread in psutil.Process(pid).threads()
    }
    assert levels == {before, min(before + 10, 19)}


def test_a_slide_that_is_forgotten_takes_its_worker_with_it(slide_path):
    slide = open_slide(slide_path)
    process = decoder_of(slide._source)._process
    del slide
    gc.collect()
    assert process.returncode is not None


def test_nothing_is_left_of_slides_that_were_closed(slide_path):
    me = psutil.Process()
    open_slide(slide_path).close()
    gc.collect()  # what other tests left
    n_descriptors, others = me.num_fds(), set(me.children())
    for _ in range(20):
        with open_slide(slide_path) as slide:
            assert slide.levels[0][:9, :9].any()
    assert me.num_fds() <= n_descriptors
    assert set(me.children()) <= others


_PARENT = """
import sys
from napari_her2.slides.slide import open_slide
slide = open_slide(sys.argv[1])
print(slide._source.levels[0]._guard._decoder.pid, flush=True)
sys.stdin.read()
"""


def test_no_worker_outlives_a_reader_that_was_killed(slide_path):
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, slide_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        worker = psutil.Process(int(reader.stdout.readline()))
        reader.kill()
    worker.wait(timeout=5)


_STUCK = """
import ctypes, os, sys
from napari_her2.slides.decoder_worker import _end_with
_end_with(int(sys.argv[1]))
print("stuck", flush=True)
ctypes.PyDLL(None).sleep(60)  # keeps the interpreter, as a broken decoder does
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal")
def test_a_worker_that_is_stuck_in_a_decoder_ends_with_its_parent_too():
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _STUCK, str(read_end)],
        stdout=subprocess.PIPE,
        pass_fds=[read_end],
    ) as worker:
        os.close(read_end)
        assert worker.stdout.readline() == b"stuck\n"
        os.close(write_end)
        assert worker.wait(timeout=5) == -signal.SIGIO


def test_a_module_beside_the_slide_is_not_imported(slide_path, guarded, monkeypatch):
    folder = slide_path.parent
    for name in ("numpy", "tifffile", "struct", "json"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(folder)
    assert guarded(slide_path).levels[0].read_block(0, 0).any()


GOOD = {
    "levels": [[9, 9, 4, 4]],
    "mpp": 0.5,
    "fingerprint": "blake2b:00",
    "is_synthetic": False,
    "colours": "stored",
    "colours_key": "",
}


@pytest.mark.parametrize(
    "change",
    [
        {"levels": []},
        {"levels": "many"},
        {"levels": [[9, 9, 4]]},
        {"levels": [[9, 9, 4, 0]]},
        {"levels": [[9, 9, 4, -1]]},
        {"levels": [[9, 9, 4, 1 << 40]]},
        {"levels": [[1 << 20, 1 << 20, 1 << 20, 1 << 20]]},
        {"levels": [[9, 9, 4, 4]] * 3000},
        {"mpp": "small"},
        {"mpp": float("nan")},
        {"mpp": True},
        {"fingerprint": None},
        {"fingerprint": "Mueller, Anna"},
        {"is_synthetic": 1},
        {"colours": "red"},
        {"colours_key": "srgb:Doe"},
    ],
)
def test_a_worker_that_lies_is_not_believed(change):
    assert read_form(GOOD).fingerprint == "blake2b:00"
    with pytest.raises(ValueError, match=r"no |absurd"):
        read_form(GOOD | change)
