"""Cells that were read, kept on disk: a tile is not read twice with the same look.

A folder per slide, look and thresholds, a Parquet file per tile. Files are written
aside and put into place at once, so that one that is there is whole and two processes
may write the same; one that is damaged all the same is read from the slide again.
What was not used for longest goes first once all of them together are too large.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from napari_her2.cells.detector import Detector
from napari_her2.cells.nuclei import NucleusScale
from napari_her2.cells.provenance import Made, key_of, reading_record, slide_record
from napari_her2.cells.reading import SlideLook, look_at
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.table import CELL_COLUMNS, made_of, with_made
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.slides.slide import Slide
from napari_her2.stain.vectors import StainVectors

MOST_BYTES: Final = 1 << 30
"""What is kept of all slides together: some million cells."""


class CellStore:
    """What was read of one slide with these thresholds.

    The slide's look is learned from all of it, once, so that a cell is the same in
    every view.

    Parameters
    ----------
    root
        Folder of caches.
    slide, stain, limits, detector
        What is read, and how. Reads blocks all over the slide if its look is not kept.

    Attributes
    ----------
    look : SlideLook
    made : dict
        See :func:`~napari_her2.cells.provenance.reading_record`.

    Raises
    ------
    SlideError
        As :func:`~napari_her2.cells.reading.look_at`.
    """

    def __init__(
        self,
        root: Path,
        slide: Slide,
        stain: Stain,
        limits: StainingLimits,
        detector: Detector | None = None,
    ) -> None:
        folder = root / "cells"
        self.look = replace(_look(folder, slide, stain), detector=detector)
        self.made: Made = reading_record(slide, self.look, limits)
        self._folder = folder / key_of(self.made)
        _prune(folder, MOST_BYTES)

    def keep(self, tile: BoxPx, read: Callable[[], pa.Table]) -> pa.Table:
        """Return the cells of a tile as they were kept, else read and keep them."""
        path = self._folder / f"{'-'.join(map(str, tile.as_tuple()))}.parquet"
        kept = _load(path, self.made)
        if kept is not None:
            return kept
        cells = read()
        _write(path, lambda draft: pq.write_table(with_made(cells, self.made), draft))
        return cells


def _load(path: Path, made: Made) -> pa.Table | None:
    """Return a table that is whole and was made like this, None without one."""
    try:
        cells = pq.read_table(path)
        os.utime(path)
    except (OSError, pa.ArrowException):
        return None
    is_fit = made_of(cells) == made and cells.column_names == list(CELL_COLUMNS)
    return cells.replace_schema_metadata(None) if is_fit else None


def _look(folder: Path, slide: Slide, stain: Stain) -> SlideLook:
    path = folder / f"look-{key_of(slide_record(slide, stain))}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text("utf-8"))
        white, vectors, nuclei = kept["white"], kept["vectors"], kept["nuclei"]
        vectors |= {name: tuple(vectors[name]) for name in ("haematoxylin", "second")}
        look = SlideLook(
            stain,
            (white[0], white[1], white[2]),
            StainVectors(**vectors),
            NucleusScale(**nuclei | {"levels": tuple(nuclei["levels"])}),
        )
        os.utime(path)
        return look
    look = look_at(slide, stain)
    made = reading_record(slide, look, StainingLimits())
    told = {
        "white": made["white_rgb"],
        "vectors": made["stain_vectors_od"],
        "nuclei": made["nuclei"],
    }
    _write(path, lambda draft: draft.write_text(json.dumps(told), "utf-8"))
    return look


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file at once; a disk that refuses costs the next reader time only."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError:
        pass


def _prune(folder: Path, most_bytes: int) -> None:
    """Take away what was not used for longest, until the rest is small enough."""
    found = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                told = path.stat()
                found.append((told.st_mtime, told.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            return
        with suppress(OSError):
            path.unlink()
            total -= size
