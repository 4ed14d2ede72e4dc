"""Why a slide must not be scored by its cells, or only with a doubt, in words."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from napari_her2.cells.cytoplasmic_marker import (
    brown_cells,
    cytoplasmic_doubt,
    why_cytoplasmic,
)
from napari_her2.cells.dyes import why_not_dyes
from napari_her2.cells.nuclear_marker import brown_bodies, why_nuclear
from napari_her2.cells.reading import MPP, sample_dyes
from napari_her2.cells.tumour_area import TumourArea
from napari_her2.core.errors import Her2Error
from napari_her2.core.score import Stain
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import QualityReport
from napari_her2.slides.slide import Slide
from napari_her2.slides.stain_check import check_stain


@dataclass(frozen=True, slots=True)
class Objections:
    """What speaks against scoring a slide; empty where nothing does.

    ``stop`` forbids it, a ``doubt`` is told beside the score.
    """

    stop: str = ""
    doubt: str = ""


def why_not_scored(
    slide: Slide,
    report: QualityReport | None = None,
    overruled: Container[str] = (),
    area: TumourArea | None = None,
) -> Objections:
    """Return what speaks against scoring an IHC slide.

    Reads blocks all over the slide.

    Parameters
    ----------
    report
        What is known of its quality; assessed here without one.
    overruled
        Kinds of findings that a person overruled.
    area
        Where the staining is looked at, all over the slide without one.
    """
    try:
        check_stain(slide, Stain.IHC)
    except Her2Error as error:
        return Objections(f"stain not as declared: {error.problem.rstrip('.')}")
    blocking = (report or assess_quality(slide, Stain.IHC)).blocking
    stops = [
        finding.sentence.rstrip(".")
        for finding in blocking
        if finding.kind.value not in overruled
    ]
    return Objections("; ".join(stops)) if stops else _membranes(slide, area)


def _membranes(slide: Slide, area: TumourArea | None) -> Objections:
    """Say whether what is stained can be the membranes of blue cells."""
    seen = sample_dyes(slide, area)
    reason = why_not_dyes(seen) or why_nuclear(
        [brown_bodies(one.dab, MPP) for one in seen],
        sum(np.count_nonzero(one.tissue) for one in seen) * (MPP / 1000) ** 2,
    )
    if not reason:
        brown = brown_cells(seen, MPP)
        reason = why_cytoplasmic(brown)
        if not reason:
            return Objections(doubt=cytoplasmic_doubt(brown))
    return Objections(f"stain not as declared: {reason}")
