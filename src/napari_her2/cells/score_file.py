"""Score one image file from its cells; whatever goes wrong becomes a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from napari_her2.cells.call import CellCall, call_cells
from napari_her2.cells.provenance import reading_record
from napari_her2.cells.reading import look_at, propose_tumour, read_cells
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.table import no_cells, with_made
from napari_her2.cells.why_not import why_not_scored
from napari_her2.core.errors import Her2Error
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineLimits
from napari_her2.core.guideline_limits import LEAST_CELLS
from napari_her2.core.score import Call, NotAssessable, Stain
from napari_her2.slides.slide import Slide, open_slide


@dataclass(frozen=True, slots=True)
class ScoreAsked:
    """What is asked of one image.

    ``mpp`` is µm per pixel where the file does not say, or says it wrongly.
    ``region_px`` is the invasive tumour as a box in level-0 pixels; without it the
    tumour is proposed. ``force`` goes on where stain or quality would stop it.
    """

    path: Path
    mpp: float | None = None
    region_px: BoxPx | None = None
    force: bool = False
    least_cells: int = LEAST_CELLS


@dataclass(frozen=True, slots=True)
class ScoreFound:
    """The call of one image; ``cells`` is None where it never came to that."""

    asked: ScoreAsked
    call: Call
    reason: str
    cells: CellCall | None
    seconds: float


def score_file(asked: ScoreAsked) -> ScoreFound:
    """Read the cells of an image and call its score.

    Never raises for what is in the file: an image that cannot be read or scored is
    ``NotAssessable`` with its reason.
    """
    began = time.monotonic()

    def found(call: Call, reason: str, cells: CellCall | None = None) -> ScoreFound:
        return ScoreFound(asked, call, reason, cells, time.monotonic() - began)

    try:
        with open_slide(asked.path) as slide:
            scaled = slide if asked.mpp is None else slide.with_mpp(asked.mpp)
            if scaled.mpp is None:
                reason = "scale unknown: give the µm per pixel (--mpp)"
                return found(NotAssessable(reason), reason)
            if not asked.force and (stop := why_not_scored(scaled)):
                return found(NotAssessable(stop), stop)
            cells = call_cells(
                cells_of(scaled, asked.region_px),
                scaled.mpp,
                limits=GuidelineLimits(least_cells=asked.least_cells),
            )
    except Her2Error as error:
        reason = error.problem.rstrip(".")
        return found(NotAssessable(reason), reason)
    call = cells.reading.call
    reason = call.reason if isinstance(call, NotAssessable) else cells.reading.rule
    return found(call, "; ".join((reason, *cells.reading.straddles)), cells)


def cells_of(
    slide: Slide,
    region_px: BoxPx | None = None,
    stain: Stain = Stain.IHC,
    tell: Callable[[float], None] = lambda done: None,
) -> pa.Table:
    """Return all cells of an open slide, or of a box that a person calls tumour.

    Within the box every cell of a usual nucleus counts as tumour where it is not
    plainly a lymphocyte or stroma: the same rule as in the proposal. The table says
    how it was made.
    """
    look = look_at(slide, stain, region_px)
    parts = [no_cells()]
    for step in read_cells(slide, look, region_px=region_px):
        parts.append(step.cells)
        tell(step.done)
    found = propose_tumour(pa.concat_tables(parts).combine_chunks(), slide.mpp or 0.0)
    return with_made(found, reading_record(slide, look, StainingLimits()))
