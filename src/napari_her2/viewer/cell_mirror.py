"""The outlines of the cells on a twin's canvas, where it shows their slide."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_her2.viewer.cell_layers import LINE_PX, CellLayers, set_lines
from napari_her2.viewer.roles import Role
from napari_her2.viewer.twin import Twin


class CellMirror:
    """A Vectors layer that follows the outlines of the main viewer.

    Cells are those of the IHC slide: they are drawn over no other one. They stay when
    the main viewer shows the H&E on top and hides its own.

    Parameters
    ----------
    twin
        Whose canvas is drawn on.
    cells
        Of the main viewer.
    """

    def __init__(self, twin: Twin, cells: CellLayers) -> None:
        self._twin = twin
        self._cells = cells
        self._layer: Any = None
        self._signals = (cells.drawn, twin.changed)
        for signal in self._signals:
            signal.connect(self.draw)
        self.draw()

    def draw(self) -> None:
        """Show the outlines as they are now."""
        source = self._cells.outlines
        if source is None or self._twin.role is not Role.IHC:
            self._clear()
            return
        model = self._twin.model
        if self._layer is None:
            camera = model.scene.camera
            before = camera.center, camera.zoom
            self._layer = model.add_vectors(
                np.zeros((0, 2, 2)),
                name=source.name,
                vector_style=source.vector_style,
                affine=source.affine,
                units=source.units,
                metadata=source.metadata,
            )
            camera.center, camera.zoom = before
        self._layer.affine = source.affine
        set_lines(self._layer, source.data, source.edge_color[:, :3])
        self._layer.edge_width = LINE_PX / float(model.scene.camera.zoom)

    def close(self) -> None:
        """Stop following; the layer goes with its canvas."""
        for signal in self._signals:
            signal.disconnect(self.draw)
        self._layer = None

    def _clear(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._twin.model.layers:
            self._twin.model.layers.remove(layer)
