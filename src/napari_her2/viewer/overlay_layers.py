"""Layers over the result store of a run; the store is the truth, they only show.

Contrast limits are fixed by what a value means, so the same colour says the same
thing on every slide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.inference.store import ResultStore
from napari_her2.viewer.frame import outline
from napari_her2.viewer.palette import (
    ATTENTION_STOPS,
    BRANCH_STOPS,
    SYNTHETIC,
    ramp_colormap,
    score_colormap,
)
from napari_her2.viewer.placement import Placement
from napari_her2.viewer.roles import SYNTHETIC as SYNTHETIC_ROLES
from napari_her2.viewer.roles import Role, tag

SYNTHETIC_NAME = "SYNTHETIC IHC (not a stain)"
SYNTHETIC_HE_NAME = "SYNTHETIC H&E (not a stain)"
FORCED_NAME = "FORCED"
SCORE_OPACITY = 0.35
"""Strong enough to tell the scores apart, weak enough to see the tissue."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """How one overlay is called, explained and drawn at first."""

    role: Role
    name: str
    explanation: str
    is_visible: bool = False
    opacity: float = 0.6


OVERLAYS = (
    Overlay(
        Role.SYNTHETIC_IHC,
        SYNTHETIC_NAME,
        "IHC computed from the H&E. No antibody touched this tissue.",
        is_visible=True,
        opacity=1.0,
    ),
    Overlay(
        Role.SYNTHETIC_HE,
        SYNTHETIC_HE_NAME,
        "H&E computed from the IHC. No haematoxylin or eosin touched this tissue.",
        opacity=1.0,
    ),
    Overlay(
        Role.SCORE_MAP,
        "AI score per tile",
        "Most probable score of each tile; shown where it was revealed to you.",
        opacity=SCORE_OPACITY,
    ),
    Overlay(
        Role.ATTENTION,
        "Channel attention",
        "Strongest channels of the attention module. Where the model looked, "
        "not where HER2 is.",
    ),
    Overlay(
        Role.BRANCH_SHARE,
        "H&E / IHC share",
        "Which branch of the network a tile's result rests on.",
    ),
)


def overlay_arguments(
    role: Role, store: ResultStore, placement: Placement
) -> dict[str, Any]:
    """Return the fixed layer arguments of one overlay (all but its data)."""
    kinds: dict[Role, Callable[[], dict[str, Any]]] = {
        **dict.fromkeys(
            SYNTHETIC_ROLES,
            lambda: {
                "rgb": True,
                "multiscale": True,
                **placement.image(store.grid.model_mpp),
            },
        ),
        Role.SCORE_MAP: lambda: {
            "colormap": score_colormap(),
            "contrast_limits": (-0.5, 4.5),
            "interpolation2d": "nearest",
            **placement.image(store.map_mpp("probabilities")),
        },
        Role.ATTENTION: lambda: {
            "colormap": ramp_colormap("attention", ATTENTION_STOPS),
            "contrast_limits": (0.0, 1.0),
            "interpolation2d": "linear",
            **placement.image(store.map_mpp("attention")),
        },
        Role.BRANCH_SHARE: lambda: {
            "colormap": ramp_colormap("branch share", BRANCH_STOPS),
            "contrast_limits": (0.0, 1.0),
            "interpolation2d": "nearest",
            **placement.image(store.map_mpp("branch_share")),
        },
    }
    return kinds[role]()


def add_overlay(
    viewer: Any,
    overlay: Overlay,
    data: Any,
    arguments: dict[str, Any],
    case_id: str,
    store: ResultStore,
) -> Any:
    """Add one overlay on top of a viewer's layers and return its layer."""
    layer = viewer.add_image(
        data,
        name=f"{FORCED_NAME} {overlay.name}" if store.forced else overlay.name,
        visible=overlay.is_visible,
        opacity=overlay.opacity,
        blending="translucent",
        metadata=tag(overlay.role, case_id, store.folder.name, forced=store.forced),
        **arguments,
    )
    title = layer.name_overlay
    if overlay.role in SYNTHETIC_ROLES:
        # the border is out of sight when the view lies inside a tile
        title.position, title.font_size = "top_left", 10
        title.color, title.box_color = "white", SYNTHETIC
        title.visible = True
    elif overlay.role is not Role.SCORE_MAP:
        layer.colorbar.visible = True
        # a bar alone does not say what it measures
        title.position, title.font_size = layer.colorbar.position, 8
        title.visible = True
    return layer


def frame_data(store: ResultStore, at_least: int = 0) -> NDArray[np.float64]:
    """Return the outline of all tiles with synthetic pixels, level-0 pixels.

    A layer that is sliced asynchronously must not get fewer vectors than before:
    napari applies the indices of an earlier slice to the new data. The last
    piece is then repeated until there are ``at_least`` so many.
    """
    grid = store.grid
    pieces = outline(
        store.is_synthesised,
        np.asarray(grid.row_edges),
        np.asarray(grid.col_edges),
    )
    missing = max(0, at_least - len(pieces))
    return np.concatenate([pieces, np.repeat(pieces[-1:], missing, axis=0)])


def add_frame(
    viewer: Any,
    data: NDArray[np.float64],
    placement: Placement,
    case_id: str,
    store: ResultStore,
) -> Any:
    """Add the border around the synthetic pixels and return its layer."""
    return viewer.add_vectors(
        data,
        name="Border of the synthetic stain",
        edge_color=SYNTHETIC,
        vector_style="line",
        opacity=1.0,
        metadata=tag(
            Role.SYNTHETIC_FRAME, case_id, store.folder.name, forced=store.forced
        ),
        **placement.outline(),
    )
