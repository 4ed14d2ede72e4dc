"""Small JSON messages between a slide's worker and the process that asked for it.

A message is its length (4 bytes, little-endian) and that many bytes of JSON.
Nothing is ever unpickled: what a worker sends may be what a hostile file made of
it.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any, Final

_LENGTH: Final = struct.Struct("<I")
MAX_MESSAGE_BYTES: Final = 1 << 20

Message = dict[str, Any]


class BrokenMessage(ConnectionError):
    """What came is no message, or too long."""


def send_message(connection: socket.socket, message: Message) -> None:
    """Send one message."""
    data = json.dumps(message).encode("ascii")
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive_message(connection: socket.socket, within_s: float | None) -> Message:
    """Wait for one message; ``within_s`` None waits for ever.

    Raises
    ------
    TimeoutError
        If it is not there in time.
    ConnectionError
        If the other side is gone, or sent something else.
    """
    end_s = None if within_s is None else time.monotonic() + within_s
    (size,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, end_s))
    if size > MAX_MESSAGE_BYTES:
        raise BrokenMessage(f"a message of {size} bytes")
    try:
        message = json.loads(_receive(connection, size, end_s))
    except (ValueError, RecursionError) as error:
        raise BrokenMessage("no JSON") from error
    if not isinstance(message, dict):
        raise BrokenMessage("no object")
    return message


def _receive(connection: socket.socket, size: int, end_s: float | None) -> bytes:
    parts = []
    while size > 0:
        if end_s is not None:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
        part = connection.recv(min(size, 1 << 16))
        if not part:
            raise ConnectionResetError("the other side is gone")
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
