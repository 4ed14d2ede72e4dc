"""What every kind of damage draws from: values at the edges, and where to put them."""

from __future__ import annotations

import struct
from typing import Any, Final

from numpy.random import Generator

NUMBERS: Final = (
    0, 1, 2, 3, 7, 8, 255, 256, 32767, 65535, 65536, 100_000,
    (1 << 24) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
)  # fmt: skip


def one(rng: Generator, options: Any) -> Any:
    """Draw one of some options."""
    return options[int(rng.integers(len(options)))]


def put(data: bytearray, order: str, width: int, at: int, value: int) -> None:
    """Write a number of 2, 4 or 8 bytes, if it fits into the data."""
    form = {2: "H", 4: "I", 8: "Q"}[width]
    if at + width <= len(data):
        struct.pack_into(order + form, data, at, value % (1 << (8 * width)))
