"""Layers of a slide pair, as napari layer tuples (made here, added elsewhere)."""

from __future__ import annotations

from typing import Any

from napari_her2.core.score import Stain
from napari_her2.slides.pair import SlidePair
from napari_her2.viewer.placement import placement_of, slide_to_world
from napari_her2.viewer.roles import Role, tag

LayerTuple = tuple[Any, dict[str, Any], str]

_ROLES = {Stain.HE: Role.HE, Stain.IHC: Role.IHC}


def slide_layers(pair: SlidePair, case_id: str) -> list[LayerTuple]:
    """Return the layers of a pair, bottom first.

    With both slides there, the IHC lies on the H&E and is hidden at first: the
    compare view shows it beside, and one click shows it on top.
    """
    placement = placement_of(pair)
    layers: list[LayerTuple] = []
    for stain, slide, mpp in (
        (Stain.HE, pair.he, placement.reference_mpp),
        (Stain.IHC, pair.ihc, placement.ihc_mpp),
    ):
        if slide is None:
            continue
        arguments = {
            **placement.image(mpp),
            "affine": slide_to_world(pair, stain),
            "name": stain.label,
            "rgb": True,
            "multiscale": True,
            "visible": stain is Stain.HE or pair.he is None,
            "metadata": tag(_ROLES[stain], case_id),
        }
        layers.append((list(slide.levels), arguments, "image"))
    return layers
