"""The reading of cells as steps for any thread, from the slide to the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_her2.app.cells_read import CellsFound, CellWork
from napari_her2.app.control_use import ControlUse
from napari_her2.core.errors import NotReadyError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Stain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.quality.finding import QualityReport

_EDGE_POINTS = 16
"""Points on each side of a region that is carried to the other slide."""


@dataclass(frozen=True, slots=True)
class CellsRefused:
    """The slide must not be scored, and why."""

    reason: str


CellStep = CellWork | CellsFound | CellsRefused


def read_steps(
    pair: SlidePair,
    region: Region,
    report: QualityReport | None,
    overruled: set[str],
    use: ControlUse,
    cache_dir: Path | None,
) -> Iterator[CellStep]:
    """Read the cells of a region of the IHC slide, for any thread.

    Parameters
    ----------
    region
        In level-0 pixels of the reference slide.
    report
        What is known of the quality of the IHC slide; assessed here without one.
    overruled
        Kinds of findings that a reader overruled.
    use
        What control tissue does to the thresholds.
    cache_dir
        Folder for cells that were read; the user's cache folder when None.
    """
    import pyarrow as pa
    from skimage.measure import points_in_poly

    from napari_her2.cells.reading import propose_tumour, read_cells
    from napari_her2.cells.staining import StainingLimits
    from napari_her2.cells.store import CellStore
    from napari_her2.cells.table import no_cells
    from napari_her2.cells.why_not import why_not_scored
    from napari_her2.inference.store import cache_root
    from napari_her2.slides.quality.assess import assess_marked, assess_quality
    from napari_her2.slides.quality.finding import FindingKind

    slide = pair.ihc
    if slide is None or slide.mpp is None:
        raise NotReadyError("There is no IHC slide of known scale.", "Open one.")
    yield CellWork("Looking at the stain", 0.0)
    if report is None and use.marks:
        report = assess_quality(slide, Stain.IHC)
        report = report.with_finding(assess_marked(slide, use.marks))
    objections = why_not_scored(slide, report, overruled)
    if objections.stop:
        yield CellsRefused(objections.stop)
        return
    outline = on_ihc(pair, region)
    box = box_on_ihc(pair, outline)
    root = cache_dir or cache_root()

    def store_of(limits: StainingLimits) -> CellStore:
        return CellStore(root, slide, Stain.IHC, limits)

    if use.marks:
        yield CellWork("Reading the control tissue", 0.0)
    calibration, words = use.set_limits(
        slide,
        store_of(StainingLimits()).look,
        None if report is None else report.of(FindingKind.CONTROL),
        lambda limits: store_of(limits).keep,
    )
    limits = calibration.limits
    store = store_of(limits)
    steps = read_cells(slide, store.look, region_px=box, limits=limits, keep=store.keep)
    parts = [no_cells()]
    for step in steps:
        parts.append(step.cells)
        yield CellWork("Reading cells", step.done)
    cells = propose_tumour(pa.concat_tables(parts).combine_chunks(), slide.mpp)
    places = np.stack([cells["y_px"].to_numpy(), cells["x_px"].to_numpy()], -1)
    inside = points_in_poly(places, outline)
    yield CellsFound(
        region,
        cells.filter(pa.array(inside)),
        slide.mpp,
        store.made | use.made(calibration),
        words,
        objections.doubt,
    )


def on_ihc(pair: SlidePair, region: Region) -> NDArray[np.float64]:
    """Return the outline (n, 2) of a region in level-0 pixels of the IHC slide."""
    corners = np.array(region.vertices_yx)
    if pair.he is None or pair.ihc is None:
        return corners
    share = np.linspace(0, 1, _EDGE_POINTS, endpoint=False)[:, None]
    ends = np.roll(corners, -1, axis=0)
    sides = [a + share * (b - a) for a, b in zip(corners, ends, strict=True)]
    on_he_um = np.concatenate(sides) * (pair.he.mpp or 1.0)
    outline: NDArray[np.float64] = pair.he_to_ihc.apply(on_he_um)
    return outline / (pair.ihc.mpp or 1.0)


def box_on_ihc(pair: SlidePair, outline: NDArray[np.float64]) -> BoxPx:
    """Return the part of the IHC slide that an outline covers, possibly empty."""
    (y0, x0), (y1, x1) = np.floor(outline.min(0)), np.ceil(outline.max(0))
    box = BoxPx(int(y0), int(x0), int(y1), int(x1))
    shape = pair.reference.shape if pair.ihc is None else pair.ihc.shape
    return box.intersect(BoxPx.of_shape(shape))
