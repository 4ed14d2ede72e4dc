"""A second viewer model that shows one role of the main viewer beside it.

It holds its own layer over the same arrays: one layer object in two models would
make the two canvases fight over the level to load.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from napari.components import ViewerModel
from psygnal import Signal

from napari_her2.viewer.palette import GLASS
from napari_her2.viewer.roles import Role, find, role_of


class Twin:
    """Mirrors the layer of one role, or of another where that is missing.

    Parameters
    ----------
    viewer
        The main viewer; only weakly held.
    roles
        What is mirrored: the first of these that is there.
    """

    changed = Signal()
    """Another layer is shown, or none."""

    def __init__(self, viewer: Any, *roles: Role) -> None:
        self._viewer = ref(viewer)
        self._roles = roles
        self._source: Any = None
        self._layer: Any = None
        self.model = ViewerModel()
        # what is not computed is as light as glass, not black
        self.model.canvas.background_color_override = GLASS
        viewer.layers.events.inserted.connect(self.refresh)
        viewer.layers.events.removed.connect(self.refresh)
        self.refresh()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return self._layer is None

    @property
    def role(self) -> Role | None:
        """What is shown now."""
        return None if self._source is None else role_of(self._source)

    def refresh(self) -> None:
        """Take over the layer that has the role now."""
        viewer = self._viewer()
        source = None if viewer is None else find(viewer.layers, *self._roles)
        if source is self._source:
            return
        self._clear()
        self._follow(source)
        camera = self.model.scene.camera
        before = camera.center, camera.zoom
        if source is not None:
            self._layer = self.model.add_image(
                source.data,
                name=source.name,
                rgb=True,
                multiscale=source.multiscale,
                scale=source.scale,
                translate=source.translate,
                affine=source.affine,
                units=source.units,
                metadata=source.metadata,
            )
            # what was drawn over the former layer lies over this one
            self.model.layers.move(len(self.model.layers) - 1, 0)
        # napari fits the view to a first layer; this camera follows another one
        camera.center, camera.zoom = before
        self.changed.emit()

    def _clear(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            self.model.layers.remove(layer)

    def _follow(self, source: Any) -> None:
        """Listen to the layer that is mirrored now, and no longer to another."""
        if self._source is not None:
            self._source.events.affine.disconnect(self._on_affine)
        self._source = source
        if source is not None:
            source.events.affine.connect(self._on_affine)

    def _on_affine(self) -> None:
        if self._layer is not None:
            self._layer.affine = self._source.affine

    def refresh_pixels(self) -> None:
        """Show tiles that were computed since."""
        if self._layer is not None:
            self._layer.refresh(extent=False)

    def close(self) -> None:
        """Let go of the main viewer and of the pixels."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.inserted.disconnect(self.refresh)
            viewer.layers.events.removed.disconnect(self.refresh)
        self._follow(None)
        self._layer = None
        self.model.layers.clear()
