"""Open a TIFF of any family: find its pages once, then read blocks alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from napari_her2.core.errors import SlideError
from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.broken import kind_of
from napari_her2.slides.colour import MAX_ICC_BYTES
from napari_her2.slides.fingerprint import fingerprint_tiff
from napari_her2.slides.level import BlockSource
from napari_her2.slides.openslide_slide import open_openslide
from napari_her2.slides.orientation import UPRIGHT, UprightBlocks
from napari_her2.slides.shared_file import SharedFile
from napari_her2.slides.source import SlideSource
from napari_her2.slides.tiff_blocks import TiffBlocks, read_pages
from napari_her2.slides.tiff_scan import scan_tiff

# tifffile logs what it finds odd; what matters here becomes a SlideError
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class TiffContent:
    """What a family found in a TIFF: one page per level, and the scale."""

    pages: list[Any]
    mpp: float | None
    is_synthetic: bool = False


def open_tiff(path: Path) -> SlideSource:
    """Open an Aperio, Hamamatsu, OME or generic TIFF; others with OpenSlide.

    Raises
    ------
    SlideError
        If the file is damaged or holds no image of a slide.
    """
    file = SharedFile(path)
    try:
        scan_tiff(file)
        with _parsed(path) as tiff:
            if _is_foreign(tiff):
                file.close()
                return open_openslide(path)
            content = _family(tiff)(path, tiff)
            levels = read_pages(file, content.pages)
            standing = _upright(path, levels)
            icc = _icc(content.pages[0])
        fingerprint = fingerprint_tiff(file, levels)
    except SlideError:
        file.close()
        raise
    except Exception as error:
        file.close()
        raise SlideError(
            path,
            f"it is a broken TIFF ({kind_of(error)}).",
            "Copy or export the file again.",
        ) from error
    return SlideSource(
        standing, content.mpp, fingerprint, file.close, content.is_synthetic, icc
    )


def _parsed(path: Path) -> Any:
    # companion files named in OME-XML are never opened: only this file was given
    return tifffile.TiffFile(path, _multifile=False)


def _upright(path: Path, levels: list[TiffBlocks]) -> Sequence[BlockSource]:
    """Return the levels as they stand, those that do not say how as the finest one."""
    orientation = levels[0].orientation or UPRIGHT
    if any(level.orientation not in (None, orientation) for level in levels):
        raise SlideError(
            path,
            "its levels contradict each other on how they are turned.",
            "Export it upright (orientation 1).",
        )
    if orientation == UPRIGHT:
        return levels
    cache = BlockCache()
    return [UprightBlocks(level, orientation, cache) for level in levels]


def _icc(page: Any) -> bytes | None:
    """Return the ICC profile of a page, as bytes that may be damaged."""
    tag = page.keyframe.tags.get(34675)
    if tag is None or tag.count > MAX_ICC_BYTES:
        return None
    return tag.value if isinstance(tag.value, bytes) else b"damaged"


def _is_foreign(tiff: Any) -> bool:
    """Whether it has a layout that OpenSlide knows and our own readers do not."""
    software = str(tiff.pages[0].software)
    return bool(
        tiff.is_scn or tiff.is_bif or tiff.is_philips or software.startswith("MedScan")
    )


def _family(tiff: Any) -> Callable[[Path, Any], TiffContent]:
    from napari_her2.slides.aperio import find_aperio
    from napari_her2.slides.generic_tiff import find_generic
    from napari_her2.slides.hamamatsu import find_hamamatsu
    from napari_her2.slides.ome_tiff import find_ome

    if tiff.is_svs:
        return find_aperio
    if tiff.is_ndpi:
        return find_hamamatsu
    if tiff.is_ome:
        return find_ome
    return find_generic


def level_pages(path: Path, series: Any) -> list[Any]:
    """Return one page for each level of a series of plain 2-D RGB images.

    Raises
    ------
    SlideError
        If the series has further axes (channels, focal planes, time).
    """
    pages = []
    for level in series.levels:
        axes = level.axes.replace("Q", "I")
        if axes not in ("YXS", "SYX"):
            what = {"C": "channels", "Z": "focal planes", "T": "time points"}
            found = [word for axis, word in what.items() if axis in axes]
            problem = "it is a grey image" if axes == "YX" else "it is no RGB image"
            if found:
                problem = f"it holds several {' and '.join(found)}, no RGB image"
            raise SlideError(
                path, f"{problem}.", "Only 8-bit RGB brightfield slides can be read."
            )
        pages.append(level.pages[0])
    return pages
