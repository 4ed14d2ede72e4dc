"""What the main canvas shows, as a box, and how to bring a box into view.

``canvas.size`` over ``camera.zoom`` is exact and public; ``corner_pixels`` is
not used, it is the box of the loaded chunks (napari#2487).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_her2.core.geometry import BoxPx, BoxUm

FIT_SHARE = 0.9
"""Share of the canvas that a box fills when it is brought into view."""


def view_box_um(viewer: Any) -> BoxUm:
    """Return the visible box in world units.

    In grid mode each cell shows a fraction of the canvas, so its size is divided
    by the shape of the grid.
    """
    height, width = np.asarray(viewer.canvas.size, dtype=float)
    if viewer.canvas.grid.enabled:
        rows, columns = viewer.canvas.grid.actual_shape(viewer.layers)
        height, width = height / rows, width / columns
    zoom = float(viewer.scene.camera.zoom)
    y, x = (float(value) for value in viewer.scene.camera.center[-2:])
    half_y, half_x = height / zoom / 2, width / zoom / 2
    return BoxUm(y - half_y, x - half_x, y + half_y, x + half_x)


def view_box_px(viewer: Any, mpp: float) -> BoxPx:
    """Return the visible box in level-0 pixels of the reference slide."""
    return view_box_um(viewer).to_px(mpp)


def look_at(viewer: Any, box_um: BoxUm) -> None:
    """Move the camera so that a box fills most of the canvas."""
    height, width = (float(side) for side in viewer.canvas.size)
    tall = max(box_um.y1 - box_um.y0, 1e-6)
    wide = max(box_um.x1 - box_um.x0, 1e-6)
    camera = viewer.scene.camera
    camera.center = (0.0, (box_um.y0 + box_um.y1) / 2, (box_um.x0 + box_um.x1) / 2)
    camera.zoom = FIT_SHARE * min(height / tall, width / wide)
