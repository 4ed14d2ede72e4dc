"""Why a slide must not be scored by its cells, in words."""

from __future__ import annotations

from collections.abc import Container

from napari_her2.core.errors import Her2Error
from napari_her2.core.score import Stain
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import QualityReport
from napari_her2.slides.slide import Slide
from napari_her2.slides.stain_check import check_stain


def why_not_scored(
    slide: Slide,
    report: QualityReport | None = None,
    overruled: Container[str] = (),
) -> str:
    """Return why an IHC slide must not be scored, or nothing.

    Reads blocks all over the slide.

    Parameters
    ----------
    report
        What is known of its quality; assessed here without one.
    overruled
        Kinds of findings that a person overruled.
    """
    try:
        check_stain(slide, Stain.IHC)
    except Her2Error as error:
        return f"stain not as declared: {error.problem.rstrip('.')}"
    blocking = (report or assess_quality(slide, Stain.IHC)).blocking
    return "; ".join(
        finding.sentence.rstrip(".")
        for finding in blocking
        if finding.kind.value not in overruled
    )
