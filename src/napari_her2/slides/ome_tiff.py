"""OME-TIFF: levels in SubIFDs or pages, scale and name from its XML."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import tifffile

from napari_her2.core.errors import SlideError
from napari_her2.slides.generic_tiff import resolution_mpp
from napari_her2.slides.pyramid_writer import SYNTHETIC_MARK
from napari_her2.slides.scale import square_mpp, to_um
from napari_her2.slides.tiff_file import TiffContent, level_pages

_NOT_THE_SLIDE: Final = ("label", "macro", "overview", "thumbnail")


def find_ome(path: Path, tiff: Any) -> TiffContent:
    """Return the levels of the largest image that is no label or macro."""
    xml = tiff.ome_metadata or ""
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise SlideError(
            path, "its OME-XML defines entities.", "Export the slide again."
        )
    series = [
        one
        for one in tiff.series
        if not one.name.lower().strip().startswith(_NOT_THE_SLIDE)
    ]
    if not series:
        raise SlideError(path, "it holds no image.", "Export the slide again.")
    chosen = max(series, key=lambda one: math.prod(one.shape))
    pages = level_pages(path, chosen)
    pixels = _pixels(xml, tiff.series.index(chosen))
    mpp = square_mpp(path, _size_um(pixels, "Y"), _size_um(pixels, "X"))
    if mpp is None and "PhysicalSizeX" not in pixels:
        mpp = resolution_mpp(path, chosen.keyframe)
    return TiffContent(pages, mpp, chosen.name.startswith(SYNTHETIC_MARK))


def _pixels(xml: str, index: int) -> dict[str, Any]:
    """Return the Pixels element of an image, empty where it cannot be found."""
    images = tifffile.xml2dict(xml).get("OME", {}).get("Image", [])
    images = images if isinstance(images, list) else [images]
    pixels = images[index].get("Pixels") if index < len(images) else None
    return pixels if isinstance(pixels, dict) else {}


def _size_um(pixels: dict[str, Any], axis: str) -> float | None:
    value = pixels.get(f"PhysicalSize{axis}")
    if not isinstance(value, int | float):
        return None
    return to_um(value, str(pixels.get(f"PhysicalSize{axis}Unit", "µm")))
