"""Keeps the layers of one napari viewer in step with its session.

The session says what is open, drawn and computed; the stage shows it, and tells
the session what part of the slide is in view and what the reader drew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.app.status import Notice
from napari_her2.core.region import Region
from napari_her2.core.score import Stain
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.later import later, soon
from napari_her2.viewer.notices import noticed
from napari_her2.viewer.overlay_stage import OverlayStage
from napari_her2.viewer.palette import GLASS
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.region_layer import (
    RegionLayer,
    new_region_id,
    next_name,
    square_mm_box,
)
from napari_her2.viewer.roles import SYNTHETIC, Role, find, ours, role_rank
from napari_her2.viewer.slicing import give_back_async, take_async
from napari_her2.viewer.slide_layers import slide_layers
from napari_her2.viewer.viewport import look_at, view_box_px

VIEW_EVERY_MS = 120
TILES_EVERY_MS = 250
REGION_LINE_PX = 2.5


class Stage:
    """The layers of one viewer.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        What the layers show.
    """

    ihc_moved = Signal()
    """The IHC layer lies elsewhere now."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        self.overlays = OverlayStage(viewer, session)
        self._regions: RegionLayer | None = None
        self._others_add_slides = False
        self._has_new_region = False
        self._view_timer = later(self.follow_view, VIEW_EVERY_MS)
        self._overlay_timer = later(self.overlays.refresh, TILES_EVERY_MS)
        self._arrange_timer = later(self._arrange, 0)
        self._region_timer = later(self._draw_regions, 0)
        events = session.state.events
        events.pair.connect(self._on_pair)
        events.regions.connect(self._on_regions)
        for signal in (
            events.bundle,
            events.run,
            events.reviewed,
            events.first_read_required,
        ):
            signal.connect(self._on_results)
        viewer.scene.camera.events.center.connect(self._on_view)
        viewer.scene.camera.events.zoom.connect(self._on_view)
        viewer.canvas.events.size.connect(self._on_view)
        self._on_pair()

    @contextmanager
    def slides_added_elsewhere(self) -> Iterator[None]:
        """While a reader plug-in returns the slide layers, do not add them too."""
        self._others_add_slides = True
        try:
            yield
        finally:
            self._others_add_slides = False

    def refresh_overlays(self) -> None:
        """Show the results as they are now, without waiting for the timer."""
        self.overlays.refresh()

    def follow_view(self) -> None:
        """Tell the session what is in view; keep lines equally wide on screen."""
        viewer, pair = self._viewer(), self._session.state.pair
        if viewer is None or pair is None:
            return
        mpp = placement_of(pair).reference_mpp
        self._session.set_view(view_box_px(viewer, mpp))
        self.overlays.follow_zoom()
        if self._regions is not None:
            zoom = float(viewer.scene.camera.zoom)
            self._regions.set_line(REGION_LINE_PX / zoom / mpp)

    def look_at(self, region: Region) -> None:
        """Bring a region into view."""
        viewer, pair = self._viewer(), self._session.state.pair
        if viewer is not None and pair is not None:
            look_at(viewer, region.bounds.to_um(placement_of(pair).reference_mpp))

    def draw_rectangle(self, *, is_excluded: bool = False) -> None:
        """Let the reader drag a new region, or an area that does not count."""
        viewer = self._viewer()
        if viewer is not None and self._regions is not None:
            viewer.layers.selection.active = self._regions.layer
            self._regions.start_rectangle(is_excluded=is_excluded)

    def add_square_mm(self) -> None:
        """Add a region of 1 mm² in the middle of the view."""
        state = self._session.state
        if state.pair is None or state.view_px is None:
            return
        if (mpp := state.pair.reference.mpp) is None:
            state.notice = Notice("Enter the slide's scale first: 1 mm² needs it.")
            return
        name = next_name({region.name for region in state.regions})
        box = square_mm_box(state.view_px.center, mpp)
        region = Region.from_box(new_region_id(), name, box)
        with noticed(self._session):
            self._session.set_regions((*state.regions, region))

    def overlay(self, *roles: Role) -> Any | None:
        """Return the layer that shows one of these overlays now."""
        viewer = self._viewer()
        return None if viewer is None else find(viewer.layers, *roles)

    def show_synthetic(self) -> None:
        """Bring the synthetic IHC of an earlier run into sight.

        A synthetic H&E stays where it is: it would cover the real IHC.
        """
        layer = self.overlay(Role.SYNTHETIC_IHC)
        if layer is not None:
            layer.visible = True

    def blink(self) -> None:
        """Show or hide the synthetic stain; its border goes with it."""
        layer = self.overlay(*SYNTHETIC)
        if layer is not None:
            layer.visible = not layer.visible

    def _on_pair(
        self, now: SlidePair | None = None, before: SlidePair | None = None
    ) -> None:
        viewer, state = self._viewer(), self._session.state
        if viewer is None:
            return
        if now is not None and now.same_slides(before):
            self._move_ihc(viewer, now)
            return
        self._clear(viewer)
        if state.pair is None or state.case is None:
            give_back_async(self)
            viewer.canvas.background_color_override = None
            return
        take_async(self)
        viewer.canvas.background_color_override = GLASS
        if self._others_add_slides:
            soon(self._arrange_timer)
        else:
            for data, arguments, _ in slide_layers(state.pair, state.case.case_id):
                viewer.add_image(data, **arguments)
        placement = placement_of(state.pair)
        self._regions = RegionLayer(
            viewer, placement, state.case.case_id, self._on_drawn, self._on_refused
        )
        self._regions.show(state.regions)
        viewer.canvas.overlays.scale_bar.visible = placement.is_measured
        self._arrange()
        soon(self._view_timer)
        soon(self._overlay_timer)

    def _arrange(self) -> None:
        """Put the layers in order and the whole slide in view."""
        viewer = self._viewer()
        if viewer is not None:
            for layer in sorted(ours(viewer.layers), key=role_rank):
                viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
            viewer.reset_view()
            self._select_slide(viewer)

    def _move_ihc(self, viewer: Any, pair: SlidePair) -> None:
        """Show the same slides as they are registered now."""
        layer = find(viewer.layers, Role.IHC)
        affine = slide_to_world(pair, Stain.IHC)
        if layer is not None and not np.array_equal(layer.affine.affine_matrix, affine):
            layer.affine = affine
            self.ihc_moved.emit()
        soon(self._overlay_timer)

    def _select_slide(self, viewer: Any) -> None:
        slide = find(viewer.layers, Role.HE) or find(viewer.layers, Role.IHC)
        if slide is not None:
            viewer.layers.selection.active = slide

    def _clear(self, viewer: Any) -> None:
        if self._regions is not None:
            self._regions.close()
            self._regions = None
        self.overlays.clear()
        for layer in ours(viewer.layers):
            viewer.layers.remove(layer)

    def _on_view(self) -> None:
        soon(self._view_timer)

    def _on_results(self) -> None:
        soon(self._overlay_timer)

    def _on_regions(self) -> None:
        # napari is still inside its own event while a shape is being finished
        soon(self._region_timer)

    def _draw_regions(self) -> None:
        viewer = self._viewer()
        if viewer is None or self._regions is None:
            return
        self._regions.show(self._session.state.regions)
        self.follow_view()
        if self._has_new_region and self._regions.end_one_shot():
            self._select_slide(viewer)
        self._has_new_region = False

    def _on_drawn(self, regions: tuple[Region, ...]) -> None:
        known = {region.region_id for region in self._session.state.regions}
        with noticed(self._session):
            self._session.set_regions(regions)
            for region in regions:
                if region.region_id not in known:
                    self._session.select(region.region_id)
                    self._has_new_region = True
        soon(self._region_timer)

    def _on_refused(self, sentence: str) -> None:
        self._session.state.notice = Notice(sentence)
        soon(self._region_timer)
