"""Refuse slides of too low quality before the AI runs, as the window does."""

from __future__ import annotations

from napari_her2.app.quality_gate import blocked_by
from napari_her2.core.errors import NotReadyError
from napari_her2.slides.pair import SlidePair


def refuse_low_quality(pair: SlidePair, *, forced: bool) -> None:
    """Refuse slides with a finding that blocks, unless the run is forced.

    Raises
    ------
    NotReadyError
        Naming the stain and what was found.
    SlideError
        If pixels cannot be read.
    """
    if forced:
        return
    # imported late: --help needs no SciPy
    from napari_her2.slides.quality.assess import assess_quality

    reports = [assess_quality(slide, stain) for stain, slide in pair.slides]
    if reasons := blocked_by(reports):
        raise NotReadyError(
            " ".join(reasons),
            "Give --force to go on; every output is then marked as forced.",
        )
