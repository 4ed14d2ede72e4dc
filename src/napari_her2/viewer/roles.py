"""Find our layers by what they are for, never by their name (users rename them).

Each layer carries one JSON-serialisable entry, ``metadata["napari_her2"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

KEY = "napari_her2"


class Role(StrEnum):
    """What a layer shows. The order is the order of the layers, bottom first."""

    HE = "he"
    IHC = "ihc"
    SYNTHETIC_IHC = "synthetic_ihc"
    SYNTHETIC_HE = "synthetic_he"
    SCORE_MAP = "score_map"
    ATTENTION = "attention"
    BRANCH_SHARE = "branch_share"
    QUALITY = "quality"
    ERROR_MAP = "error_map"
    CELL_MAP = "cell_map"
    CELLS = "cells"
    CELL_OUTLINES = "cell_outlines"
    SYNTHETIC_FRAME = "synthetic_frame"
    REGIONS = "regions"
    CONTROLS = "controls"
    LANDMARKS = "landmarks"


SYNTHETIC = (Role.SYNTHETIC_IHC, Role.SYNTHETIC_HE)
"""The computed stains; a case has one of them at most."""


def tag(
    role: Role, case_id: str, run_id: str = "", *, forced: bool = False
) -> dict[str, Any]:
    """Return the metadata that marks a layer as ours.

    ``run_id`` names the results a layer shows; empty for slides and regions.
    ``forced`` marks what a run made of tissue the model does not know.
    """
    entry: dict[str, Any] = {"case_id": case_id, "role": role.value, "run_id": run_id}
    if role in (*SYNTHETIC, Role.SYNTHETIC_FRAME):
        entry["synthetic"] = True
    if forced:
        entry["forced"] = True
    return {KEY: entry}


def role_of(layer: Any) -> Role | None:
    """Return the role of a layer, None when it is not one of ours."""
    entry = layer.metadata.get(KEY)
    if not isinstance(entry, dict):
        return None
    try:
        return Role(entry.get("role", ""))
    except ValueError:
        return None


def role_rank(layer: Any) -> int:
    """Return the place of a layer's role in the order of layers, bottom first."""
    role = role_of(layer)
    return -1 if role is None else list(Role).index(role)


def find(layers: Iterable[Any], *roles: Role) -> Any | None:
    """Return the first layer with one of the roles, None when there is none."""
    return next((layer for layer in layers if role_of(layer) in roles), None)


def ours(layers: Iterable[Any]) -> list[Any]:
    """Return every layer that carries a role."""
    return [layer for layer in layers if role_of(layer) is not None]


def index_for(layers: Iterable[Any], role: Role) -> int:
    """Return where in the list a new layer of this role belongs.

    Above all of our layers with a lower role; other people's layers stay where
    they are.
    """
    rank = list(Role).index(role)
    place = 0
    for index, layer in enumerate(layers):
        if 0 <= role_rank(layer) <= rank:
            place = index + 1
    return place


@contextmanager
def adding(viewer: Any, role: Role) -> Iterator[None]:
    """Move a layer that is added meanwhile to where its role belongs.

    The layer that was selected stays selected.
    """
    place, active = index_for(viewer.layers, role), viewer.layers.selection.active
    yield
    viewer.layers.move(len(viewer.layers) - 1, place)
    viewer.layers.selection.active = active
