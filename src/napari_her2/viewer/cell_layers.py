"""The cells that were read as layers: a dot each from afar, outlines from near.

Dots of all cells are cheap, and outlines are drawn of the cells in view alone, so
that a slide with thousands of cells stays fluent. Both lie on the IHC slide.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import ref

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_her2.app.cells_read import CellsRead
from napari_her2.app.session import Session
from napari_her2.core.geometry import BoxUm
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.score import Stain
from napari_her2.viewer.cell_outlines import inside, outline_vectors, places_um
from napari_her2.viewer.clicks import on_click
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.palette import PATTERN_COLORS, SELECTED_CELL
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.roles import Role, adding, find, tag
from napari_her2.viewer.viewport import look_at, view_box_um

MOST_OUTLINES: Final = 1000
OUTLINES_FROM: Final = 0.8
"""Screen pixels per µm from which on outlines can be told apart."""

LINE_PX: Final = 1.6
DOT_UM: Final = 9.0
DOT_OPACITY: Final = 0.9
FLY_TO_UM: Final = 90.0
VIEW_EVERY_MS: Final = 120
_SELECTED_UM: Final = 1.2
_NO_LENGTH_UM: Final = 1e-6
_COLORS: Final = np.array(
    [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in PATTERN_COLORS.values()]
)
_SELECTED: Final = [int(SELECTED_CELL[i : i + 2], 16) / 255 for i in (1, 3, 5)]


class CellLayers:
    """The cells of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose cells are shown.
    """

    changed = Signal()
    """Other patterns are shown, or another cell is selected."""
    drawn = Signal()
    """The outlines were drawn anew, moved, or are gone."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self._drawn: CellsRead | None = None
        self.patterns = frozenset(MembranePattern)
        self.selected: int | None = None
        self._has_dots = True
        self._timer = later(self.draw, 0)
        self._view_timer = later(self._draw_outlines, VIEW_EVERY_MS)
        events = session.state.events
        for signal in (
            events.cells,
            events.reviewed,
            events.reader_name,
            events.first_read_required,
        ):
            signal.connect(self._on_state)
        events.pair.connect(self._on_pair)
        for moved in (
            viewer.scene.camera.events.center,
            viewer.scene.camera.events.zoom,
        ):
            moved.connect(self._on_view)
        on_click(viewer, self._may_pick, self.pick)

    @property
    def read(self) -> CellsRead | None:
        """What may be shown of the cells now."""
        return None if self._session.cells.why_hidden() else self._session.state.cells

    @property
    def outlines(self) -> Any:
        """The layer of the outlines in view, None while there is none."""
        viewer = self._viewer()
        return None if viewer is None else find(viewer.layers, Role.CELL_OUTLINES)

    def filter(self, patterns: frozenset[MembranePattern]) -> None:
        """Show the cells of these patterns alone."""
        self.patterns = patterns
        self.draw()
        self.changed.emit()

    def show_dots(self, *, on: bool) -> None:
        """Show the dots from afar, or leave the slide to a map."""
        self._has_dots = on
        self._draw_outlines()

    def select(self, row: int | None) -> None:
        """Mark a cell of the table, or none."""
        self.selected = row
        self._draw_outlines()
        self.changed.emit()

    def fly_to(self, row: int) -> None:
        """Bring a cell into view on the IHC, and mark it."""
        viewer, read, pair = self._viewer(), self.read, self._session.state.pair
        if viewer is None or read is None or pair is None:
            return
        self.show_ihc()
        place = places_um(read.cells.slice(row, 1), read.found.mpp)[0]
        matrix = slide_to_world(pair, Stain.IHC)
        y, x = (matrix @ [*place, 1.0])[:2]
        half = FLY_TO_UM / 2
        look_at(viewer, BoxUm(y - half, x - half, y + half, x + half))
        self.select(row)

    def show_ihc(self) -> None:
        """Have the IHC slide on top of the H&E: cells are looked at on it."""
        viewer = self._viewer()
        layer = None if viewer is None else find(viewer.layers, Role.IHC)
        if layer is not None:
            layer.visible = True

    def draw(self) -> None:
        """Show the cells as they are now."""
        viewer, read, pair = self._viewer(), self.read, self._session.state.pair
        if viewer is None:
            return
        drawn = self._drawn
        if read is None or drawn is None or read.found is not drawn.found:
            for role in (Role.CELLS, Role.CELL_OUTLINES):
                if (layer := find(viewer.layers, role)) is not None:
                    viewer.layers.remove(layer)
            if read is not None and pair is not None:
                self._add(viewer, read)
        self._drawn = read
        self._draw_outlines()
        if read is None:
            self.drawn.emit()

    def _add(self, viewer: Any, read: CellsRead) -> None:
        pair, case = self._session.state.pair, self._session.state.case
        if pair is None or case is None:
            return
        common = {
            "affine": slide_to_world(pair, Stain.IHC),
            "units": placement_of(pair).units,
        }
        with adding(viewer, Role.CELLS):
            dots = viewer.add_points(
                places_um(read.cells, read.found.mpp),
                name="IHC cells",
                size=DOT_UM,
                border_width=0,
                metadata=tag(Role.CELLS, case.case_id),
                **common,
            )
        dots.editable = False
        with adding(viewer, Role.CELL_OUTLINES):
            viewer.add_vectors(
                np.zeros((0, 2, 2)),
                name="IHC cell outlines",
                vector_style="line",
                metadata=tag(Role.CELL_OUTLINES, case.case_id),
                **common,
            )
        self.show_ihc()
        if (ihc := find(viewer.layers, Role.IHC)) is not None:
            ihc.events.visible.connect(self._on_ihc_visible)

    def _on_ihc_visible(self) -> None:
        """Hide and show cells with their slide: they are not those of the H&E."""
        viewer = self._viewer()
        if viewer is None or (ihc := find(viewer.layers, Role.IHC)) is None:
            return
        for role in (Role.CELLS, Role.CELL_OUTLINES, Role.CELL_MAP):
            if (layer := find(viewer.layers, role)) is not None:
                layer.visible = ihc.visible

    def _draw_outlines(self) -> None:
        """Draw the outlines of the cells in view; dots where they are too many."""
        viewer, read = self._viewer(), self._drawn
        if viewer is None or read is None:
            return
        dots = find(viewer.layers, Role.CELLS)
        lines = find(viewer.layers, Role.CELL_OUTLINES)
        if dots is None or lines is None:
            return
        zoom = float(viewer.scene.camera.zoom)
        shown = self._shown(read)
        rows = np.flatnonzero(shown & self._in_view(viewer, dots))
        is_near = zoom >= OUTLINES_FROM and len(rows) <= MOST_OUTLINES
        pattern = read.cells["pattern"].to_numpy()
        are_seen = self._has_dots and not is_near
        _set_dots(dots, _COLORS[pattern], shown & are_seen)
        if not is_near:
            rows = rows[:0]
        parts = [(rows, 0.0, _COLORS[pattern[rows]])]
        if self.selected is not None:
            one = np.array([self.selected])
            parts.append((one, _SELECTED_UM, np.array([_SELECTED])))
        vectors, colors = [], []
        for some, more_um, color in parts:
            made = outline_vectors(read.cells, some, read.found.mpp, more_um)
            vectors.append(made.reshape(-1, 2, 2))
            colors.append(np.repeat(color, made.shape[1], axis=0))
        set_lines(lines, np.concatenate(vectors), np.concatenate(colors))
        lines.edge_width = LINE_PX / zoom
        self.drawn.emit()

    def _shown(self, read: CellsRead) -> NDArray[np.bool_]:
        pattern = read.cells["pattern"].to_numpy()
        tumour = read.cells["is_tumour"].to_numpy()
        return np.asarray(tumour & np.isin(pattern, [*map(int, self.patterns)]))

    def _in_view(self, viewer: Any, dots: Any) -> NDArray[np.bool_]:
        places = np.asarray(dots.data)
        matrix = np.asarray(dots.affine.affine_matrix)[-3:, -3:]
        world = places @ matrix[:2, :2].T + matrix[:2, 2]
        return inside(world, view_box_um(viewer))

    def _may_pick(self) -> bool:
        return self._drawn is not None

    def pick(self, world_um: Any) -> None:
        """Select the shown cell at a place (y, x) in the world, none elsewhere."""
        viewer, read, pair = self._viewer(), self._drawn, self._session.state.pair
        if viewer is None or read is None or pair is None:
            return
        back = np.linalg.inv(slide_to_world(pair, Stain.IHC))
        place = (back @ [*np.asarray(world_um, float), 1.0])[:2]
        away = np.linalg.norm(places_um(read.cells, read.found.mpp) - place, axis=1)
        away[~self._shown(read)] = np.inf
        nearest = int(away.argmin()) if len(away) else 0
        is_hit = len(away) > 0 and away[nearest] <= DOT_UM
        self.select(nearest if is_hit else None)

    def _on_state(self) -> None:
        read, drawn = self.read, self._drawn
        if read is drawn:
            return
        if read is None or drawn is None or read.found is not drawn.found:
            self.selected = None  # its row is that of another table
        soon(self._timer)

    def _on_view(self) -> None:
        if self._drawn is not None:
            soon(self._view_timer)

    def _on_pair(self, now: Any, before: Any) -> None:
        viewer = self._viewer()
        if now is None or not now.same_slides(before):
            self._drawn = None  # the layers go with those of the case
            self.selected = None
        elif viewer is not None:
            for role in (Role.CELLS, Role.CELL_OUTLINES):
                if (layer := find(viewer.layers, role)) is not None:
                    layer.affine = slide_to_world(now, Stain.IHC)
            self.drawn.emit()


def _set_dots(dots: Any, colors: NDArray[np.float64], shown: NDArray[np.bool_]) -> None:
    """Colour the dots; those that are not shown are transparent.

    All of them stay points of the layer: napari, slicing in a thread of its own,
    draws on with points that are gone.
    """
    wanted = np.column_stack([colors, DOT_OPACITY * shown])
    if not np.allclose(dots.face_color, wanted):
        dots.face_color = wanted


def set_lines(
    lines: Any, vectors: NDArray[np.float64], colors: NDArray[np.float64]
) -> None:
    """Draw vectors in their colours; the layer grows and never shrinks.

    napari slices in a thread of its own and colours meanwhile what it drew before:
    with fewer vectors than those it fails. What is too many has no length to see.
    """
    spare = len(lines.data) - len(vectors)
    if spare > 0 and len(vectors):
        unseen = np.array([vectors[0, 0], (_NO_LENGTH_UM, 0.0)])
        vectors = np.concatenate([vectors, np.tile(unseen, (spare, 1, 1))])
        colors = np.pad(colors, ((0, spare), (0, 0)))
    elif spare > 0:
        vectors = lines.data.copy()
        vectors[:, 1] = (_NO_LENGTH_UM, 0.0)
        colors = np.zeros((len(vectors), 3))
    if not np.array_equal(lines.data, vectors):
        lines.data = vectors
    if len(vectors) and not np.array_equal(lines.edge_color[:, :3], colors):
        lines.edge_color = colors
