"""The share of stained cells in squares of 100 µm as a layer on the IHC slide."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.cells_read import CellsRead
from napari_her2.app.session import Session
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.score import Stain
from napari_her2.viewer.cell_layers import CellLayers
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.palette import steps_colormap
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.roles import Role, adding, find, tag

OPACITY: Final = 0.55


class Mapped(StrEnum):
    """Which share of the tumour cells is mapped."""

    NOTHING = "No heat map"
    COMPLETE_INTENSE = "Map of complete intense"
    STAINED = "Map of any staining"

    @property
    def patterns(self) -> tuple[MembranePattern, ...]:
        """The patterns that are counted."""
        match self:
            case Mapped.NOTHING:
                return ()
            case Mapped.COMPLETE_INTENSE:
                return (MembranePattern.COMPLETE_INTENSE,)
            case Mapped.STAINED:
                return tuple(MembranePattern)[1:]


class CellMap:
    """The heat map of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose cells are mapped.
    layers
        The cells as layers; they say what may be shown.
    """

    changed = Signal()
    """Another share is mapped."""

    def __init__(self, viewer: Any, session: Session, layers: CellLayers) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._layers = layers
        self._drawn: tuple[CellsRead | None, Mapped] = (None, Mapped.NOTHING)
        self.mapped = Mapped.NOTHING
        self._timer = later(self.draw, 0)
        events = session.state.events
        for signal in (
            events.cells,
            events.reviewed,
            events.reader_name,
            events.first_read_required,
        ):
            signal.connect(self._on_state)
        events.pair.connect(self._on_pair)

    def show(self, mapped: Mapped) -> None:
        """Map another share, or nothing; a map takes the place of the dots."""
        self.mapped = mapped
        self._layers.show_dots(on=mapped is Mapped.NOTHING)
        self.draw()
        self.changed.emit()

    def draw(self) -> None:
        """Show the map of the cells as they are now."""
        viewer, read = self._viewer(), self._layers.read
        if viewer is None or self._drawn == (read, self.mapped):
            return
        self._drawn = (read, self.mapped)
        if (layer := find(viewer.layers, Role.CELL_MAP)) is not None:
            viewer.layers.remove(layer)
        if read is not None and self.mapped is not Mapped.NOTHING:
            self._add(viewer, read)

    def _add(self, viewer: Any, read: CellsRead) -> None:
        # imported late: a window opens before anybody reads cells
        from napari_her2.cells.share_map import EDGES, SQUARE_UM, share_map

        pair, case = self._session.state.pair, self._session.state.case
        found = share_map(read.cells, read.found.mpp, self.mapped.patterns)
        if pair is None or case is None or found is None:
            return
        arguments = placement_of(pair).image(SQUARE_UM)
        with adding(viewer, Role.CELL_MAP):
            viewer.add_image(
                found.steps,
                name=f"{self.mapped}, % of tumour cells",
                colormap=steps_colormap(),
                contrast_limits=(-0.5, len(EDGES) + 0.5),
                interpolation2d="nearest",
                opacity=OPACITY,
                blending="translucent",
                metadata=tag(Role.CELL_MAP, case.case_id),
                **arguments
                | {
                    "translate": np.add(arguments["translate"], found.corner_um),
                    "affine": slide_to_world(pair, Stain.IHC),
                },
            )
        self._layers.show_ihc()

    def _on_state(self) -> None:
        soon(self._timer)

    def _on_pair(self, now: Any, before: Any) -> None:
        viewer = self._viewer()
        if now is None or not now.same_slides(before):
            self._drawn = (None, self.mapped)  # the layer goes with those of the case
        elif viewer and (layer := find(viewer.layers, Role.CELL_MAP)) is not None:
            layer.affine = slide_to_world(now, Stain.IHC)
