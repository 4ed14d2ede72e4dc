"""Aperio SVS: the baseline series, and the scale from its description."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from napari_her2.slides.scale import plausible_mpp
from napari_her2.slides.tiff_file import TiffContent, level_pages

_MPP = re.compile(r"\|\s*MPP\s*=\s*([0-9.eE+-]{1,20})")


def find_aperio(path: Path, tiff: Any) -> TiffContent:
    """Return the levels of the scan; thumbnail, label and macro stay unread.

    The label carries names and the macro a picture of it, so neither is opened.
    """
    pages = level_pages(path, tiff.series[0])
    return TiffContent(pages, aperio_mpp(tiff.pages[0].description))


def aperio_mpp(description: str) -> float | None:
    """Read µm/px from an Aperio description.

    Examples
    --------
    >>> aperio_mpp("Aperio Image Library |AppMag = 20|MPP = 0.4990")
    0.499
    """
    match = _MPP.search(description)
    if match is None:
        return None
    try:
        return plausible_mpp(float(match[1]))
    except ValueError:
        return None
