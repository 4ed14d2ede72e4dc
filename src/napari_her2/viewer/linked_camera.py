"""Keep the cameras of several viewer models on the same spot at the same zoom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LinkedCameras:
    """Centre and zoom of every camera follow whichever one moved.

    The cameras count in the same world, µm of the reference slide, so the link
    is absolute: it cannot drift, and closing and opening it changes nothing.

    Parameters
    ----------
    cameras
        napari cameras; the first one gives the start.
    """

    def __init__(self, cameras: Sequence[Any]) -> None:
        self._cameras = tuple(cameras)
        self._is_moving = False
        for camera in self._cameras:
            camera.events.center.connect(self._on_moved)
            camera.events.zoom.connect(self._on_moved)
        self._copy(self._cameras[0])

    def close(self) -> None:
        """Let the cameras go their own ways."""
        for camera in self._cameras:
            camera.events.center.disconnect(self._on_moved)
            camera.events.zoom.disconnect(self._on_moved)
        self._cameras = ()

    def _on_moved(self, event: Any) -> None:
        self._copy(event.source)

    def _copy(self, moved: Any) -> None:
        if self._is_moving:
            return  # our own change of another camera came back
        self._is_moving = True
        try:
            for camera in self._cameras:
                if camera is not moved:
                    camera.zoom = moved.zoom
                    camera.center = moved.center
        finally:
            self._is_moving = False
