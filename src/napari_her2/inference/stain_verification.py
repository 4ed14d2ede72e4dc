"""Ask a bundle's selector whether slides show the stain they were given as.

Presence is decided by what was given, and a person decides what an image is: the
answer is a sentence to show, and nothing is changed because of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.slides.resample import read_mapped
from napari_her2.slides.slide import Slide
from napari_her2.slides.tissue import find_tissue
from napari_her2.stain.verdict import Agreement, StainVerdict

if TYPE_CHECKING:
    from napari_her2.models.network import Her2Network
    from napari_her2.slides.pair import SlidePair

FIELD_PX = 896
"""Side of a field at the model's µm per pixel, four windows of the selector."""

N_FIELDS = 4
LEAST_TISSUE = 0.02
"""Share of a field that must be tissue for it to say something about a stain."""


def verify_stains(
    pair: SlidePair, network: Her2Network, mpp: float
) -> tuple[StainVerdict, ...]:
    """Return a verdict per slide, none where the bundle has no selector.

    The answer depends on the slides and the bundle, not on what is in view.

    Parameters
    ----------
    pair
        Slides with a known scale.
    network
        With its selector, if it has one.
    mpp
        µm per pixel that the selector was trained at.
    """
    if network.selector is None:
        return ()
    from napari_her2.models.selector import verify_stain

    verdicts = []
    for stain, slide in pair.slides:
        fields = [verify_stain(network.selector, f, stain) for f in _fields(slide, mpp)]
        if fields:
            verdicts.append(_gravest(fields))
    return tuple(verdicts)


def doubts(verdicts: tuple[StainVerdict, ...]) -> tuple[str, ...]:
    """Return what a reader should look at, one sentence per doubtful slide."""
    return tuple(
        f"{verdict.declared.label}: {verdict.reason}"
        for verdict in verdicts
        if verdict.agreement is not Agreement.MATCHES
    )


def _gravest(verdicts: list[StainVerdict]) -> StainVerdict:
    """Return what most fields say; a tie is settled in favour of doubt."""
    order = (Agreement.MISMATCH, Agreement.UNSURE, Agreement.MATCHES)
    counts = {a: sum(v.agreement is a for v in verdicts) for a in order}
    chosen = max(order, key=lambda agreement: counts[agreement])
    return next(v for v in verdicts if v.agreement is chosen)


def _fields(slide: Slide, mpp: float) -> list[NDArray[np.uint8]]:
    """Read the fields that hold most tissue, at the model's scale."""
    if slide.mpp is None:
        return []
    scale = mpp / slide.mpp
    side = round(FIELD_PX * scale)
    tissue = find_tissue(slide)
    boxes = [
        BoxPx(y, x, min(y + side, slide.shape[0]), min(x + side, slide.shape[1]))
        for y in range(0, slide.shape[0], side)
        for x in range(0, slide.shape[1], side)
    ]
    held = {box: tissue.share(box, slide.mpp) * box.area for box in boxes}
    best = sorted(boxes, key=lambda box: -held[box])[:N_FIELDS]
    return [
        read_mapped(
            slide,
            Affine(((scale, 0.0, box.y0), (0.0, scale, box.x0))),
            (max(1, round(box.height / scale)), max(1, round(box.width / scale))),
        )
        for box in best
        if held[box] >= LEAST_TISSUE * side**2
    ]
