"""Hamamatsu NDPI: the baseline series; tifffile cuts its strips for us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_her2.slides.generic_tiff import resolution_mpp
from napari_her2.slides.tiff_file import TiffContent, level_pages


def find_hamamatsu(path: Path, tiff: Any) -> TiffContent:
    """Return the levels of the scan; the macro, which shows the label, stays unread."""
    series = tiff.series[0]
    pages = level_pages(path, series)
    return TiffContent(pages, resolution_mpp(path, series.keyframe))
