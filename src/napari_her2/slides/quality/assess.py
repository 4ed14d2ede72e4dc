"""Assess a slide: one coarse look, a sample of tiles, and the findings of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import ndimage

from napari_her2.core.records import ControlMark
from napari_her2.core.score import Stain
from napari_her2.slides.quality.control import (
    check_cores,
    check_marked,
    find_cores,
    measure_cores,
)
from napari_her2.slides.quality.crush import FEWEST_CELLS, crushed
from napari_her2.slides.quality.edge import find_edge
from napari_her2.slides.quality.finding import (
    Finding,
    FindingKind,
    QualityReport,
    Severity,
    gravest_first,
)
from napari_her2.slides.quality.layers import find_layers
from napari_her2.slides.quality.overview import ASSUMED_MPP, Overview, look_at
from napari_her2.slides.quality.pen import find_pen
from napari_her2.slides.quality.rings import find_rings
from napari_her2.slides.quality.shapes import Mask
from napari_her2.slides.quality.staining import Depth, find_staining
from napari_her2.slides.quality.tiles import (
    CellMaps,
    TileLooked,
    fill_between,
    look_closely,
    tissue_cells,
)
from napari_her2.slides.slide import Slide

BLURRED_UM: Final = 2.0
"""Blur (Gaussian radius) from which a square is out of focus. In
focus, 98 % of squares of three HER2 cores, two H&E slides and a core lie below 1.6
and of 16 virtual fields below 1.6; HER2 membranes are 0.6 to 1.2 µm wide."""
CRUSH_WARN: Final = 0.015
FOCUS_WARN: Final = 0.045
FOCUS_BLOCK: Final = 0.40
"""Shares of the squares that were judged."""
NO_TISSUE: Final = (0.015, 0.05)
LITTLE_TISSUE: Final = (0.06, 0.2)
"""Share of the image, and area in mm², of tissue: below both of the first there is
none to assess, below both of the second hardly any. Blank tiles hold up to 0.012 of
dust, the least tile of tissue 0.15."""
_FEWEST_SQUARES: Final = 3


def assess_quality(
    slide: Slide, stain: Stain, *, assumed_mpp: float = ASSUMED_MPP
) -> QualityReport:
    """Assess an open slide.

    Reads one level of about 4 µm/px and at most 200 tiles of 256 µm at about
    1 µm/px; takes seconds whatever the size of the slide.

    Parameters
    ----------
    slide
        A slide that does not know its scale is assessed too; lengths are then
        taken with ``assumed_mpp``, and a finding says so.
    stain
        What it was given as.
    assumed_mpp
        µm/px where the slide does not know its own.

    Raises
    ------
    SlideError
        If pixels cannot be read.
    """
    for step in quality_steps(slide, stain, assumed_mpp=assumed_mpp):
        if isinstance(step, QualityReport):
            return step
    raise AssertionError("the last step is the report")


def assess_marked(
    slide: Slide, marks: tuple[ControlMark, ...], *, assumed_mpp: float = ASSUMED_MPP
) -> Finding:
    """Check the control tissue that a reader marked on an IHC slide.

    Raises
    ------
    SlideError
        If pixels cannot be read.
    """
    return check_marked(slide, look_at(slide, Stain.IHC, assumed_mpp), marks)


def quality_steps(
    slide: Slide, stain: Stain, *, assumed_mpp: float = ASSUMED_MPP
) -> Iterator[TileLooked | QualityReport]:
    """Assess a slide step by step, the report last; closing it cancels."""
    view = look_at(slide, stain, assumed_mpp)
    pen = find_pen(view)
    ink = np.zeros(view.tissue.shape, bool)
    if pen is not None and pen.mask is not None:
        ink = pen.mask
    findings = [] if pen is None else [pen]
    if not view.is_measured:
        findings.append(_scale_unknown(assumed_mpp))
    maps = None
    missing = _missing_tissue(view, ink)
    findings += [] if missing is None else [missing]
    if missing is None or missing.severity is not Severity.BLOCK:
        findings += find_layers(view, ink)
        findings += find_rings(view, ink)
        edge = find_edge(view, ink)
        findings += [] if edge is None else [edge]
        for step in look_closely(slide, view, ink):
            if isinstance(step, CellMaps):
                maps = step
            else:
                yield step
        if maps is not None:
            findings += _from_tiles(maps, view)
        if stain is Stain.IHC:
            boxes, mask = find_cores(view)
            if boxes:
                cores = measure_cores(slide, view, boxes)
                findings.append(check_cores(view, cores, mask))
    yield QualityReport(
        stain,
        slide.fingerprint,
        gravest_first(findings),
        float((view.tissue & ~ink).mean()),
        0 if maps is None else maps.n_tiles,
        0 if maps is None else maps.n_tiles_of,
    )


def _missing_tissue(view: Overview, ink: Mask) -> Finding | None:
    n_px = int((view.tissue & ~ink).sum())
    share = n_px / ink.size
    area_mm2 = n_px * (view.mpp / 1000) ** 2 if view.is_measured else 0.0
    for (least, least_mm2), severity, words in (
        (NO_TISSUE, Severity.BLOCK, "There is no tissue to assess on this slide"),
        (LITTLE_TISSUE, Severity.WARN, "There is hardly any tissue on this slide"),
    ):
        if share < least and area_mm2 < least_mm2:
            sentence = f"{words} ({share:.1%} of it)."
            return Finding(FindingKind.NO_TISSUE, severity, 1.0, sentence)
    return None


def _scale_unknown(assumed_mpp: float) -> Finding:
    return Finding(
        FindingKind.SCALE,
        Severity.NOTE,
        0.0,
        f"The scale is unknown; quality was judged as at {assumed_mpp:g} µm/px.",
    )


def _from_tiles(maps: CellMaps, view: Overview) -> list[Finding]:
    findings = []
    sampled = ""
    if maps.n_tiles < maps.n_tiles_of:
        sampled = f" ({maps.n_tiles} of {maps.n_tiles_of} tiles looked at)"
    unread = tissue_cells(view, maps) & ~np.isfinite(maps.coherence)
    known = np.isfinite(maps.blur_um)
    if known.sum() >= _FEWEST_SQUARES:
        blurred = known & (maps.blur_um > BLURRED_UM)
        share = float(blurred.sum() / known.sum())
        if share >= FOCUS_WARN and blurred.sum() >= _FEWEST_SQUARES:
            is_block = share >= FOCUS_BLOCK
            findings.append(
                Finding(
                    FindingKind.OUT_OF_FOCUS,
                    Severity.BLOCK if is_block else Severity.WARN,
                    share,
                    f"{share:.0%} of the tissue is out of focus{sampled}; scan it "
                    "again.",
                    fill_between(blurred, known, unread),
                    maps.cell_px,
                    view.mask_mpp and maps.cell_px * view.mpp / view.pixel_px,
                )
            )
    squeezed = crushed(
        maps.coherence, maps.energy, maps.haematoxylin, maps.seen, view.stain
    )
    labels, count = ndimage.label(squeezed, np.ones((3, 3)))
    if count:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        squeezed = (sizes >= FEWEST_CELLS)[labels]
    if squeezed.any():
        share = float(squeezed.sum() / max(maps.seen.sum(), 1))
        findings.append(
            Finding(
                FindingKind.CRUSH,
                Severity.WARN if share >= CRUSH_WARN else Severity.NOTE,
                share,
                f"Nuclei are crushed to streaks in {share:.1%} of the tissue{sampled}; "
                "do not score them.",
                np.asarray(squeezed, bool),
                maps.cell_px,
                view.mask_mpp and maps.cell_px * view.mpp / view.pixel_px,
            )
        )
    if len(maps.samples) > 500:
        red, second = maps.samples.T
        # the rims of gaps are pale whatever the staining
        within = second[red + second > 0.1]
        depth = Depth(
            float(np.percentile(red, 95)),
            float(np.median(second)),
            float(np.percentile(within, 20)) if len(within) > 100 else 0.0,
        )
        staining = find_staining(depth, view.stain)
        findings += [] if staining is None else [staining]
    return findings
