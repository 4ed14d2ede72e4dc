"""What a tile's result depends on, so that it is found again and never mixed up."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from napari_her2.core.transform import Transform
from napari_her2.inference.reading import TileReader
from napari_her2.models.bundle import Bundle

RESULT_VERSION: Final = 3
"""Raised whenever the software would compute something else for the same tile."""

REFERENCE_BACKEND: Final = "torch-fp32"
"""What every other backend is measured against."""

HE_TO_IHC: Final = "he->ihc"
IHC_TO_HE: Final = "ihc->he"


def identity_of(
    reader: TileReader,
    bundle: Bundle,
    device: str,
    backend: str = REFERENCE_BACKEND,
    *,
    forced: bool = False,
) -> dict[str, Any]:
    """Return all that decides what a tile's result is, as plain JSON."""
    both = len(reader.slides) == 2
    grid = reader.grid
    return {
        "result_version": RESULT_VERSION,
        "slides": {
            stain.value: [slide.pixels, slide.mpp] for stain, slide in reader.slides
        },
        "he_to_ihc_um": _rows_or_steps(reader.he_to_ihc) if both else None,
        "bundle_sha256": bundle.sha256,
        "direction": direction_of(reader, bundle),
        "grid": [grid.model_mpp, grid.core_px, grid.halo_px],
        "device": device.partition(":")[0],
        "backend": backend,
        "forced": forced,
    }


def _rows_or_steps(transform: Transform) -> Any:
    affine = transform.affine
    return transform.to_json() if affine is None else affine.matrix[:2].tolist()


def direction_of(reader: TileReader, bundle: Bundle) -> str:
    """Return which stain is made of which, empty where none is made.

    A synthetic IHC is made wherever there is H&E; H&E is reconstructed from an IHC
    that is alone, by a bundle that can.
    """
    if reader.he is not None:
        return HE_TO_IHC
    return IHC_TO_HE if "ihc_to_he.safetensors" in bundle.card.files else ""


def key_of(identity: dict[str, Any]) -> str:
    """Return the folder name of an identity, 32 hexadecimal digits."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
