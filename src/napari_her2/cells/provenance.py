"""How cells were read: all that is needed to read the same cells again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import napari_her2
from napari_her2.cells.reading import (
    HALO_PX,
    METHOD_VERSION,
    MPP,
    TILE_PX,
    SlideLook,
)
from napari_her2.cells.staining import StainingLimits
from napari_her2.core.score import Stain
from napari_her2.slides.slide import Slide

Made = dict[str, Any]
"""Plain JSON values by name."""


def slide_record(slide: Slide, stain: Stain) -> Made:
    """Return what names the pixels that are read, and the software that reads them."""
    return {
        "software": f"napari-her2 {napari_her2.__version__}",
        "method_version": METHOD_VERSION,
        "stain": stain.value,
        "slide": slide.fingerprint,
        "pixels": slide.pixels,
        "slide_um_per_px": slide.mpp,
        "reading_um_per_px": MPP,
        "tile_px": TILE_PX,
        "halo_px": HALO_PX,
    }


def reading_record(slide: Slide, look: SlideLook, limits: StainingLimits) -> Made:
    """Return all that decides what the cells of a slide are, units in the names.

    Thresholds ending in ``_od`` are optical densities, those in ``_share`` shares in
    [0, 1]; vectors are optical densities of (R, G, B) per unit of dye.
    """
    learned: Made = {
        "white_rgb": look.white,
        "stain_vectors_od": asdict(look.vectors),
        "nuclei": asdict(look.nuclei),
        "thresholds": asdict(limits),
    }
    if look.detector is not None:
        learned["detector"] = look.detector.record
    plain: Made = json.loads(json.dumps(learned))
    return slide_record(slide, look.stain) | plain


def key_of(made: Made) -> str:
    """Return a name for a record, 32 hexadecimal digits."""
    text = json.dumps(made, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def parameters_of(made: Made) -> tuple[tuple[str, str], ...]:
    """Return a record as the sorted pairs of text that a suggestion carries."""
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
        for name, value in sorted(made.items())
    )
