"""The error of the registration as a map over the slide, while the reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.core.error_map import ErrorMap
from napari_her2.core.local_light import light_at
from napari_her2.core.registration import (
    ErrorLimits,
    Light,
    RegistrationError,
)
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.palette import LIGHT_COLORS
from napari_her2.viewer.placement import placement_of
from napari_her2.viewer.roles import Role, find, index_for, tag

OPACITY = 0.4
_FINER = 8
"""Pixels along a cell: maps begin at multiples of a cell's eighth from the slide."""
STEPS: tuple[Light | None, ...] = (*Light, None)
"""Values of the layer's pixels, 0 to 3: green, amber, red, not checked."""


class ErrorLayer:
    """At most one layer of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose registration is shown.
    """

    changed = Signal()
    """The map was shown, or is gone."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._timer = later(self._draw_anew, 0)
        viewer.layers.events.removed.connect(self._on_removed)
        events = session.state.events
        for signal in (events.pair, events.error_limits):
            signal.connect(self._on_registration)

    @property
    def is_shown(self) -> bool:
        """Whether the map is among the layers."""
        return self._layer is not None

    @property
    def error(self) -> RegistrationError | None:
        """The error that can be shown as a map, None where there is none."""
        pair = self._session.state.pair
        error = None if pair is None else pair.registration.error
        return error if error is not None and error.local is not None else None

    def show(self, *, on: bool) -> None:
        """Add the map to the layers, or take it away."""
        viewer, layer, error = self._viewer(), self._layer, self.error
        pair, case = self._session.state.pair, self._session.state.case
        if viewer is None or on == self.is_shown:
            return
        if layer is not None:
            viewer.layers.remove(layer)
            return
        if error is None or error.local is None or pair is None or case is None:
            return
        active = viewer.layers.selection.active
        place = index_for(viewer.layers, Role.ERROR_MAP)
        limits, placement = self._session.state.error_limits, placement_of(pair)
        size_um = [side * placement.reference_mpp for side in pair.reference.shape]
        layer = viewer.add_image(
            cut_to(size_um, light_grid(error, error.local, limits), error.local),
            name="How the slides lie",
            colormap=_steps(),
            contrast_limits=(0, len(STEPS)),
            interpolation2d="nearest",
            opacity=OPACITY,
            blending="translucent",
            metadata=tag(Role.ERROR_MAP, case.case_id),
            **placement.image(error.local.cell_um / _FINER),
        )
        viewer.layers.move(viewer.layers.index(layer), place)
        viewer.layers.selection.active = active
        self.changed.emit()

    @property
    def _layer(self) -> Any | None:
        viewer = self._viewer()
        return None if viewer is None else find(viewer.layers, Role.ERROR_MAP)

    def _on_registration(self) -> None:
        if self.is_shown:
            soon(self._timer)

    def _draw_anew(self) -> None:
        """Show the map of the registration that holds now."""
        if self.is_shown:
            self.show(on=False)
            self.show(on=True)

    def _on_removed(self) -> None:
        self.changed.emit()


def light_grid(
    error: RegistrationError, local: ErrorMap, limits: ErrorLimits
) -> NDArray[np.float32]:
    """Return the step (0.5 to 3.5) of each cell (rows, columns), NaN on glass."""
    n_rows = 1 + max((cell.row for cell in local.cells), default=0)
    n_cols = 1 + max((cell.col for cell in local.cells), default=0)
    grid = np.full((n_rows, n_cols), np.nan, np.float32)
    for cell in local.cells:
        light = light_at(error, cell.error_um, limits)
        grid[cell.row, cell.col] = STEPS.index(light) + 0.5
    return grid


def cut_to(
    size_um: Sequence[float], grid: NDArray[np.float32], local: ErrorMap
) -> NDArray[np.float32]:
    """Return the cells in finer pixels that begin and end with the slide."""
    pixel_um = local.cell_um / _FINER
    fine = grid.repeat(_FINER, 0).repeat(_FINER, 1)
    first = [round(-corner / pixel_um) for corner in local.origin_um]
    last = [
        start + int(np.ceil(side / pixel_um))
        for start, side in zip(first, size_um, strict=True)
    ]
    return fine[first[0] : last[0], first[1] : last[1]]


def _steps() -> Any:
    from napari.utils.colormaps import Colormap

    edges = [step / len(STEPS) for step in range(len(STEPS) + 1)]
    return Colormap(
        [LIGHT_COLORS[light] for light in STEPS],
        controls=edges,
        interpolation="zero",
        name="registration error",
    )
