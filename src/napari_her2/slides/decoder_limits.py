"""How much memory and time the decoding of one slide may take.

The limits are those of the worker process of :mod:`.decoder`; none of them is a
limit on what the reader's own process does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, Final

_MEMORY_BYTES: Final = 4 << 30
_LIBRARY_BYTES: Final = 2 << 30
"""Address space that libraries, mapped files and thread stacks reserve unused."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What a worker may take before it is refused or killed.

    Parameters
    ----------
    memory_bytes
        Memory of its own, 4 GB or half of the machine's, whichever is less.
    open_s
        Seconds for finding the levels and the fingerprint of a slide; half a
        gigabyte is read for that, which takes a slow network share most of it.
    block_s
        Seconds for one block.
    restarts
        How often a worker that died is replaced before the slide is given up.
    """

    memory_bytes: int
    open_s: float = 60.0
    block_s: float = 30.0
    restarts: int = 3


def usual_limits() -> DecoderLimits:
    """Return the limits for this machine."""
    try:
        machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        machine_bytes = 2 * _MEMORY_BYTES
    return DecoderLimits(memory_bytes=min(_MEMORY_BYTES, machine_bytes // 2))


def limit_this_process(memory_bytes: int) -> None:
    """Cap the memory of this process; let it write no file and dump no core.

    Linux holds to the cap. macOS takes the call and ignores most of it.
    """
    import resource

    caps: list[tuple[Any, int]] = [
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CORE, 0),  # a core holds the pixels of a patient
        (resource.RLIMIT_FSIZE, 0),
    ]
    if sys.platform == "linux":
        caps.append((resource.RLIMIT_AS, memory_bytes + _LIBRARY_BYTES))
    for kind, cap in caps:
        _, hard = resource.getrlimit(kind)
        cap = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
        resource.setrlimit(kind, (cap, cap))
