"""Asynchronous slicing while a case is open.

A slide block takes longer to read than a frame may last, so napari reads it on
its worker thread and keeps the old image until then. The switch is one setting
of the whole program: it is taken by the first open case and given back, as it
was, by the last.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from napari.settings import get_settings

_takers: WeakSet[Any] = WeakSet()
_before: list[bool] = []


def take_async(owner: Any) -> None:
    """Switch asynchronous slicing on for an owner."""
    if not _takers:
        _before[:] = [get_settings().experimental.async_]
    _takers.add(owner)
    get_settings().experimental.async_ = True


def give_back_async(owner: Any) -> None:
    """Restore the setting when the last owner has given it back."""
    _takers.discard(owner)
    if not _takers and _before:
        get_settings().experimental.async_ = _before.pop()
