"""Clicks on the canvas that are no drags: dragging still moves the slide."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

MOST_PX = 4
"""How far the mouse may move during a click."""

PlaceUm = tuple[float, float]


def on_click(
    viewer: Any, is_awaited: Callable[[], bool], take: Callable[[PlaceUm], object]
) -> None:
    """Call ``take`` with the place (y, x) in the world of every click.

    ``is_awaited`` is asked when the button goes down.
    """

    def on_press(_: Any, event: Any) -> Generator[None, None, None]:
        if not is_awaited():
            return
        start = np.array(event.pos, float)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos, float) - start).max() <= MOST_PX:
            y, x = (float(value) for value in event.position[-2:])
            take((y, x))

    viewer.mouse_drag_callbacks.append(on_press)
