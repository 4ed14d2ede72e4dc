"""A worker process that decodes one slide, seen from the process that asks.

Each slide has a process of its own, so that what a hostile file does to it hits
no other slide, and no process has read two files. A *lane* is a socket, a thread
in the worker and a piece of memory that both processes see: a request and its
answer are a few bytes of JSON, the pixels lie in the memory and are copied once.
Several threads read at once, each on a lane of its own. Half of the lanes have a
low priority: they serve threads that have one too, as those of a run do, which give
way to the window.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Final
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

import napari_her2
from napari_her2.core.errors import SlideError
from napari_her2.slides.decoder_limits import DecoderLimits
from napari_her2.slides.messages import Message, receive_message, send_message
from napari_her2.slides.source_form import read_form

_MAX_LANES: Final = 8
_SHARED_BYTES: Final = 256 << 20
_ROOT: Final = Path(napari_her2.__file__).parents[1]
_POOLS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ONE_THREAD: Final = dict.fromkeys(_POOLS, "1") | {"MALLOC_ARENA_MAX": "2"}
"""The lanes are the threads; pools and arenas beside them cost address space."""


class DecoderGone(Exception):
    """The worker died or was killed; the reason is a sentence about the slide."""


class Decoder:
    """A running worker with its slide open; any thread may read.

    Attributes
    ----------
    form : SourceForm
        Levels, scale and fingerprint of the slide.

    Raises
    ------
    SlideError
        If the slide is refused.
    DecoderGone
        If the worker died or was too slow.
    """

    def __init__(
        self, path: Path, limits: DecoderLimits, *, use_profile: bool = False
    ) -> None:
        self._path = path
        self._use_profile = use_profile
        self._limits = limits
        self._lock = threading.Lock()
        self._reason = ""
        self._idle: tuple[SimpleQueue[int], ...] = (SimpleQueue(), SimpleQueue())
        self._n_lanes = 0
        n_lanes = 2 * min(_MAX_LANES, (os.cpu_count() or 1) + 2)
        with contextlib.ExitStack() as theirs:
            pairs = [socket.socketpair() for _ in range(n_lanes)]
            self._lanes = [ours for ours, _ in pairs]
            for _, end in pairs:
                theirs.enter_context(end)
            read_end, lifeline = os.pipe()
            theirs.callback(os.close, read_end)
            memory_fd = _anonymous_file()
            given = [read_end, memory_fd, *(end.fileno() for _, end in pairs)]
            try:
                self._process = _start(given)
            except BaseException:
                _free(self._lanes, lifeline, memory_fd)
                raise
        self._end = finalize(
            self, _end, self._process, self._lanes, lifeline, memory_fd
        )
        try:
            self._open(memory_fd)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Number of the worker's process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the worker runs and was not given up."""
        return not self._reason and self._process.poll() is None

    def read_block(self, level: int, row: int, col: int) -> NDArray[np.uint8]:
        """Return one block, as :meth:`BlockSource.read_block` does.

        Raises
        ------
        SlideError
            If the block cannot be decoded.
        DecoderGone
            If the worker died of it, of another block, or was closed.
        """
        shape = self.form.levels[level].shape_of(row, col)
        index = self._idle[_gives_way()].get()
        try:
            request = {"level": level, "row": row, "col": col}
            reply = self._ask(index, request, self._limits.block_s)
            if reply.get("shape") != list(shape):
                raise self._give_up("its worker sent a block of another size")
            return self._copy(index, shape)
        finally:
            self._idle[index % 2].put(index)

    def _copy(self, index: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        start, size = index * self._slot_bytes, shape[0] * shape[1] * 3
        flat = np.frombuffer(self._memory, np.uint8, size, start)
        return flat.reshape(shape).copy()

    def close(self) -> None:
        """End the worker; reads under way raise. Safe to call twice."""
        with self._lock:
            self._reason = self._reason or "it was closed"
        self._process.kill()
        # the reads under way end at once; a lane goes when nobody listens to it
        lanes = [self._idle[index % 2].get() for index in range(self._n_lanes)]
        self._end()
        if lanes:
            self._memory.close()
        for index in lanes:
            self._idle[index % 2].put(index)

    def _open(self, memory_fd: int) -> None:
        request = {
            "path": os.path.abspath(self._path),
            "memory_bytes": self._limits.memory_bytes,
            "use_profile": self._use_profile,
        }
        reply = self._ask(0, request, self._limits.open_s)
        try:
            self.form = read_form(reply)
        except ValueError as error:
            raise self._give_up(f"its worker made no sense ({error})") from error
        self._slot_bytes = max(level.block_bytes for level in self.form.levels)
        n_lanes = max(2, min(len(self._lanes), _SHARED_BYTES // self._slot_bytes))
        _size_for_good(memory_fd, n_lanes * self._slot_bytes)
        self._memory = mmap.mmap(memory_fd, 0)
        self._send(0, {"slot_bytes": self._slot_bytes})
        self._n_lanes = n_lanes
        for index in range(n_lanes):
            self._idle[index % 2].put(index)

    def _ask(self, index: int, request: Message, within_s: float) -> Message:
        self._send(index, request)
        try:
            reply = receive_message(self._lanes[index], within_s)
        except TimeoutError as error:
            problem = f"reading it took longer than {within_s:g} s"
            raise self._give_up(problem) from error
        except (OSError, ValueError) as error:
            raise self._give_up() from error
        if "problem" in reply:
            problem, next_step = str(reply["problem"]), str(reply.get("next_step"))
            raise SlideError(self._path, problem, next_step)
        return reply

    def _send(self, index: int, request: Message) -> None:
        try:
            send_message(self._lanes[index], request)
        except (OSError, ValueError) as error:
            raise self._give_up() from error

    def _give_up(self, problem: str = "") -> DecoderGone:
        """Kill the worker, whatever it does; return why, as the first one said."""
        with self._lock:
            if not self._reason:
                self._reason = problem or _death(self._process)
                self._process.kill()
        return DecoderGone(self._reason)


def _start(descriptors: list[int]) -> subprocess.Popen[bytes]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # -P: a slide's folder may hold a numpy.py; a session of its own: Ctrl-C in a
    # terminal is for the reader's process alone
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "napari_her2.slides.decoder_worker"]
        + [str(descriptor) for descriptor in descriptors],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # libraries write there what a file tells them to
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)},
        pass_fds=descriptors,
        start_new_session=True,
    )


def _gives_way() -> bool:
    """Whether this thread has a lower priority than the main thread."""
    if sys.platform != "linux":
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    return niceness > os.getpriority(os.PRIO_PROCESS, os.getpid())


def _death(process: subprocess.Popen[bytes]) -> str:
    """Say how a worker that no longer answers ended."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "the process that reads it no longer answers"
    how = f"ended ({code})"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"crashed ({signal.Signals(-code).name})"
    return f"the process that reads it {how}"


def _anonymous_file() -> int:
    """Return the descriptor of a file without a name, of no size yet."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("slide", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _size_for_good(descriptor: int, size: int) -> None:
    """Set the size of a file that both processes map.

    Were it made smaller by the worker, touching it would kill this process; on
    Linux nobody can from here on.
    """
    os.ftruncate(descriptor, size)
    if hasattr(fcntl, "F_ADD_SEALS") and hasattr(os, "memfd_create"):
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)


def _end(
    process: subprocess.Popen[bytes],
    lanes: list[socket.socket],
    lifeline: int,
    memory_fd: int,
) -> None:
    process.kill()
    process.wait()
    _free(lanes, lifeline, memory_fd)


def _free(lanes: list[socket.socket], lifeline: int, memory_fd: int) -> None:
    for lane in lanes:
        with contextlib.suppress(OSError):
            lane.shutdown(socket.SHUT_RDWR)
        lane.close()
    os.close(lifeline)
    os.close(memory_fd)
