"""Plain TIFF, flat or pyramidal: the largest image in the file is the slide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from napari_her2.core.errors import SlideError
from napari_her2.slides.scale import square_mpp
from napari_her2.slides.tiff_file import TiffContent, level_pages

_KINDS: Final = {"generic", "uniform", "shaped", "imagej", "lsm", "ome"}
_UNIT_UM: Final = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}
"""TIFF ResolutionUnit: inch, centimetre, and two used by a few writers."""


def find_generic(path: Path, tiff: Any) -> TiffContent:
    """Return the levels of the largest image."""
    if not tiff.series:
        raise SlideError(path, "it holds no image.", "Export the slide again.")
    series = max(tiff.series, key=lambda one: math.prod(one.shape))
    if series.kind not in _KINDS:
        raise SlideError(
            path,
            f"slides of the {series.kind!r} kind are not supported.",
            "Convert it to a pyramidal OME-TIFF.",
        )
    return TiffContent(level_pages(path, series), resolution_mpp(path, series.keyframe))


def resolution_mpp(path: Path, page: Any) -> float | None:
    """Return µm/px from the resolution tags, None where they say nothing."""
    unit = page.tags.valueof(296, 2)
    if unit not in _UNIT_UM:
        return None
    mpps: list[float | None] = []
    for code in (283, 282):  # y, x
        value = page.tags.valueof(code)
        try:
            numerator, denominator = value
            mpps.append(_UNIT_UM[unit] * denominator / numerator)
        except (TypeError, ValueError, ZeroDivisionError):
            mpps.append(None)
    return square_mpp(path, *mpps)
