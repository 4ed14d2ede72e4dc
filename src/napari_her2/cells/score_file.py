"""Score one image file from its cells; whatever goes wrong becomes a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa

from napari_her2.cells.calibration import Calibration, calibrate
from napari_her2.cells.call import CellCall, call_cells
from napari_her2.cells.detector import Detector
from napari_her2.cells.geojson import read_area
from napari_her2.cells.provenance import reading_record
from napari_her2.cells.reading import SlideLook, look_at, propose_tumour, read_cells
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.table import no_cells, with_made
from napari_her2.cells.tumour_area import TumourArea
from napari_her2.cells.why_not import why_not_scored
from napari_her2.core.errors import Her2Error, UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineLimits
from napari_her2.core.guideline_limits import LEAST_CELLS
from napari_her2.core.records import ControlMark
from napari_her2.core.score import Call, NotAssessable, Stain
from napari_her2.slides.slide import Slide, open_slide


@dataclass(frozen=True, slots=True)
class ScoreAsked:
    """What is asked of one image.

    ``mpp`` is µm per pixel where the file does not say, or says it wrongly.
    ``region_px`` is the invasive tumour as a box in level-0 pixels, ``outlines`` a file
    of GeoJSON with its outlines; without either the tumour is proposed. ``force`` goes
    on where stain or quality would stop it. ``controls`` is control tissue on the
    slide: the thresholds are set by it, and its cells do not count.
    """

    path: Path
    mpp: float | None = None
    region_px: BoxPx | None = None
    force: bool = False
    least_cells: int = LEAST_CELLS
    outlines: Path | None = None
    controls: tuple[ControlMark, ...] = ()

    @property
    def is_drawn(self) -> bool:
        """Whether a person said where the tumour is."""
        return self.region_px is not None or self.outlines is not None


@dataclass(frozen=True, slots=True)
class ScoreFound:
    """The call of one image, and the thresholds it was made with.

    ``cells`` and ``calibration`` are None where it never came to that.
    """

    asked: ScoreAsked
    call: Call
    reason: str
    cells: CellCall | None
    seconds: float
    calibration: Calibration | None = None


def score_file(asked: ScoreAsked, detector: Detector | None = None) -> ScoreFound:
    """Read the cells of an image and call its score; a detector may find the nuclei.

    Never raises for what is in the file: an image that cannot be read or scored is
    ``NotAssessable`` with its reason.
    """
    began = time.monotonic()

    def found(
        call: Call,
        reason: str,
        cells: CellCall | None = None,
        calibration: Calibration | None = None,
    ) -> ScoreFound:
        seconds = time.monotonic() - began
        return ScoreFound(asked, call, reason, cells, seconds, calibration)

    try:
        with open_slide(asked.path) as slide:
            scaled = slide if asked.mpp is None else slide.with_mpp(asked.mpp)
            if scaled.mpp is None:
                reason = "scale unknown: give the µm per pixel (--mpp)"
                return found(NotAssessable(reason), reason)
            area = _area(asked, slide.shape)
            notes = _clipped(area, slide.shape)
            if not asked.force:
                objections = why_not_scored(scaled, area=area)
                if stop := objections.stop:
                    return found(NotAssessable(stop), stop)
                notes = (*notes, objections.doubt) if objections.doubt else notes
            look = _look(scaled, area, detector=detector)
            calibration = calibrate(scaled, look, asked.controls)
            cells = call_cells(
                _cells(scaled, look, area, calibration.limits),
                scaled.mpp,
                limits=GuidelineLimits(least_cells=asked.least_cells),
            )
    except Her2Error as error:
        reason = error.problem.rstrip(".")
        return found(NotAssessable(reason), reason)
    call = cells.reading.call
    reason = call.reason if isinstance(call, NotAssessable) else cells.reading.rule
    if asked.controls:
        notes = (*notes, f"thresholds × {calibration.factor:.2f} by control tissue")
    if detector is not None:
        notes = (*notes, detector.words)
    said = "; ".join((reason, *cells.reading.straddles, *notes))
    return found(call, said, cells, calibration)


def cells_of(
    slide: Slide,
    area: TumourArea | None = None,
    stain: Stain = Stain.IHC,
    tell: Callable[[float], None] = lambda done: None,
    detector: Detector | None = None,
) -> pa.Table:
    """Return all cells of an open slide, or of an area that a person calls tumour.

    Within the area every cell of a usual nucleus counts as tumour where it is not
    plainly a lymphocyte or stroma: the same rule as in the proposal. The table says
    how it was made.
    """
    return _cells(slide, _look(slide, area, stain, detector), area, tell=tell)


def _look(
    slide: Slide,
    area: TumourArea | None,
    stain: Stain = Stain.IHC,
    detector: Detector | None = None,
) -> SlideLook:
    look = look_at(slide, stain, None if area is None else area.bounds, area)
    return replace(look, detector=detector)


def _cells(
    slide: Slide,
    look: SlideLook,
    area: TumourArea | None,
    limits: StainingLimits | None = None,
    tell: Callable[[float], None] = lambda done: None,
) -> pa.Table:
    box = None if area is None else area.bounds
    parts = [no_cells()]
    for step in read_cells(slide, look, region_px=box, area=area, limits=limits):
        parts.append(step.cells)
        tell(step.done)
    found = propose_tumour(pa.concat_tables(parts).combine_chunks(), slide.mpp or 0.0)
    return with_made(found, reading_record(slide, look, limits or StainingLimits()))


def _area(asked: ScoreAsked, shape: tuple[int, int]) -> TumourArea | None:
    """Return where cells count: the region without controls, if either is known."""
    area = None
    if asked.outlines is not None:
        area = read_area(asked.outlines)
    elif asked.region_px is not None:
        area = TumourArea.from_box(asked.region_px)
    if not asked.controls:
        return area
    area = area or TumourArea.from_box(BoxPx.of_shape(shape))
    boxes = [TumourArea.from_box(mark.box_px).drawn for mark in asked.controls]
    return replace(area, left_out=(*area.left_out, *chain(*boxes)))


def _clipped(area: TumourArea | None, shape: tuple[int, int]) -> tuple[str, ...]:
    """Say that a region reaches beyond the image, if it does.

    Raises
    ------
    UsageError
        If it lies wholly beside the image.
    """
    if area is None:
        return ()
    whole = BoxPx.of_shape(shape)
    if area.overlap_px(whole) == 0:
        raise UsageError(
            f"The region lies beside the image ({shape[1]} × {shape[0]} px).",
            "Give it in level-0 pixels of this image.",
        )
    if area.bounds.intersect(whole) == area.bounds:
        return ()
    return ("the region reaches beyond the image and was clipped",)
