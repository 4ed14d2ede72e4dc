"""The process that opens and decodes one slide: a program of its own.

``python -m napari_her2.slides.decoder_worker LIFELINE MEMORY LANE...`` gets the
numbers of descriptors it inherits: a pipe that closes when the parent is gone, the
memory it leaves pixels in, and one socket for each thread that answers. It is
started by :mod:`.decoder` and is of no use by hand.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path

import numpy as np

from napari_her2.core.errors import SlideError
from napari_her2.slides.decoder_limits import limit_this_process
from napari_her2.slides.formats import open_source
from napari_her2.slides.messages import Message, receive_message, send_message
from napari_her2.slides.source import SlideSource
from napari_her2.slides.source_form import form_of

_AGAIN = "Copy or export the file again."
_NICENESS = 10
"""Of lanes with odd numbers, which read for threads that give way to the window."""


def main(arguments: list[str]) -> None:
    """Serve one slide until the parent is gone."""
    lifeline, memory_fd, *lane_fds = map(int, arguments)
    _end_with(lifeline)
    lanes = [socket.socket(fileno=fd) for fd in lane_fds]
    wanted = receive_message(lanes[0], None)
    limit_this_process(wanted["memory_bytes"])
    path = Path(wanted["path"])
    try:
        source = open_source(path, use_profile=wanted["use_profile"])
    except Exception as error:  # noqa: BLE001 - all that a file may cause is told
        send_message(lanes[0], _refusal(error))
        return
    send_message(lanes[0], form_of(source))
    slot_bytes = receive_message(lanes[0], None)["slot_bytes"]
    # closed lanes are those the parent does not want for blocks of this size
    memory = mmap.mmap(memory_fd, 0)
    n_lanes = len(memory) // slot_bytes
    for index, lane in enumerate(lanes[:n_lanes]):
        slot = np.frombuffer(memory, np.uint8, slot_bytes, index * slot_bytes)
        gives_way = index % 2 == 1
        threading.Thread(
            target=_serve, args=(source, lane, slot, gives_way), daemon=True
        ).start()
    os.read(lifeline, 1)


def _end_with(lifeline: int) -> None:
    """Have the kernel end this process when the other end of the pipe closes.

    A decoder that never returns would keep a thread from seeing it; the signal
    needs no thread. Where there is none, :func:`main` waits for the end itself.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it closed before that
        sys.exit()


def _serve(
    source: SlideSource, lane: socket.socket, slot: np.ndarray, gives_way: bool
) -> None:
    """Answer the requests of one lane, one after the other."""
    if gives_way and sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, min(nice, 19))
    while True:
        wanted = receive_message(lane, None)
        try:
            blocks = source.levels[wanted["level"]]
            block = blocks.read_block(wanted["row"], wanted["col"])
            slot[: block.size] = block.reshape(-1)
            reply: Message = {"shape": block.shape}
        except Exception as error:  # noqa: BLE001 - all that a file may cause is told
            reply = _refusal(error)
        send_message(lane, reply)


def _refusal(error: Exception) -> Message:
    if isinstance(error, SlideError):
        return {"problem": error.detail, "next_step": error.next_step}
    if isinstance(error, MemoryError):
        problem = "it takes more memory than a slide may."
        return {"problem": problem, "next_step": "Save it as a tiled pyramidal TIFF."}
    # what a library says of a file may quote it, so only the kind of error is told
    problem = f"it cannot be decoded ({type(error).__name__})."
    return {"problem": problem, "next_step": _AGAIN}


if __name__ == "__main__":
    # a thread that decodes must not delay the end
    try:
        main(sys.argv[1:])
    finally:
        os._exit(0)
