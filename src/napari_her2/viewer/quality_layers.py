"""The masks of quality findings as layers, shown while the reader asks for them."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_her2.app.session import Session
from napari_her2.core.score import Stain
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.quality.finding import Finding, QualityReport
from napari_her2.viewer.palette import SEVERITY_COLORS
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.roles import KEY, Role, adding, role_of, tag

OPACITY = 0.45

Shown = tuple[str, str]
"""Stain and kind of a finding."""


class QualityLayers:
    """The layers of one viewer, one per finding that is shown.

    Parameters
    ----------
    viewer
        napari viewer or viewer model; only weakly held.
    session
        Whose findings are shown.
    """

    changed = Signal()
    """A mask was shown, or is gone."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = ref(viewer)
        self._session = session
        viewer.layers.events.removed.connect(self._on_removed)

    def is_shown(self, report: QualityReport, finding: Finding) -> bool:
        """Whether a finding's mask is among the layers."""
        return self._layer(report, finding) is not None

    def show(self, report: QualityReport, finding: Finding, *, on: bool) -> None:
        """Add a finding's mask to the layers, or take it away."""
        viewer, layer = self._viewer(), self._layer(report, finding)
        pair, case = self._session.state.pair, self._session.state.case
        if viewer is None or on == (layer is not None):
            return
        if not on:
            viewer.layers.remove(layer)
        elif finding.mask is not None and pair is not None and case is not None:
            entry = tag(Role.QUALITY, case.case_id)
            entry[KEY]["finding"] = list(_name(report, finding))
            with adding(viewer, Role.QUALITY):
                viewer.add_image(
                    np.where(finding.mask, np.float32(1), np.float32(np.nan)),
                    name=f"Quality {report.stain.label}: {finding.kind}",
                    colormap=_flat(SEVERITY_COLORS[finding.severity]),
                    contrast_limits=(0.0, 1.0),
                    interpolation2d="nearest",
                    opacity=OPACITY,
                    blending="translucent",
                    metadata=entry,
                    **mask_placement(pair, report.stain, finding),
                )
        self.changed.emit()

    def _layer(self, report: QualityReport, finding: Finding) -> Any | None:
        viewer = self._viewer()
        if viewer is None:
            return None
        wanted = list(_name(report, finding))
        for layer in viewer.layers:
            is_ours = role_of(layer) is Role.QUALITY
            if is_ours and layer.metadata[KEY].get("finding") == wanted:
                return layer
        return None

    def _on_removed(self) -> None:
        self.changed.emit()


def mask_placement(pair: SlidePair, stain: Stain, finding: Finding) -> dict[str, Any]:
    """Return layer arguments that lay a mask on its slide, in the world's unit."""
    placement = placement_of(pair)
    slide_mpp = placement.ihc_mpp if stain is Stain.IHC else placement.reference_mpp
    arguments = placement.image(finding.pixel_px * slide_mpp)
    return {**arguments, "affine": slide_to_world(pair, stain)}


def _name(report: QualityReport, finding: Finding) -> Shown:
    return report.stain.value, finding.kind.value


def _flat(color: str) -> Any:
    from napari.utils.colormaps import Colormap

    return Colormap([color, color], name=f"quality {color}")
