"""Layers that do not belong: a fold of the section, dirt above it.

Both raise the floor of the optical density (:mod:`.overview`) clearly above what
it is elsewhere on the same slide. The hue of what was added tells them apart: a
fold adds more of the slide's own dyes, dirt out of focus takes every colour alike.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.folds import fold_mask
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.shapes import drop_long, drop_small, grown

SMUDGE_ADDED: Final = 0.09
"""Least density that dirt adds in every colour. The grey blob on the third HER2
core adds 0.15 to 0.2."""
SMUDGE_NEUTRAL: Final = 0.27
"""Least share of each colour in what dirt adds; 1/3 is grey."""
SMUDGE_AREA_UM2: Final = 3_000.0
SMUDGE_LONGEST: Final = 2.2
"""Most length over width of dirt."""
_INK_RIM_UM: Final = 50.0
_FEWEST_PX: Final = 400
WARN_SHARE: Final = 0.005
BLOCK_SHARE: Final = 0.25
"""Shares of the tissue from which a fold or dirt is worth a warning, and from
which too little is left."""


def find_layers(view: Overview, ink: NDArray[np.bool_]) -> list[Finding]:
    """Return what lies double or under dirt, outside ``ink`` (h, w)."""
    # the soft rim of a stroke is no layer of tissue
    near_ink = grown(ink, view.px(_INK_RIM_UM))
    if (view.tissue & ~near_ink).sum() < _FEWEST_PX:
        return []
    smudge = _smudge(view, ink, view.tissue & ~near_ink)
    fold = fold_mask(view, smudge | near_ink)
    tissue = max(int((view.tissue & ~ink).sum()), 1)
    sentences = (
        (FindingKind.FOLD, fold, "The section is folded over"),
        (FindingKind.SMUDGE, smudge, "Dirt or haze lies over"),
    )
    findings = []
    for kind, mask, words in sentences:
        if not mask.any():
            continue
        share = float((mask & view.tissue).sum() / tissue)
        severity = Severity.WARN if share >= WARN_SHARE else Severity.NOTE
        if share >= BLOCK_SHARE:
            severity = Severity.BLOCK
        findings.append(
            Finding(
                kind,
                severity,
                min(share, 1.0),
                f"{words} {share:.1%} of the tissue; it looks darker there.",
                mask,
                view.pixel_px,
                view.mask_mpp,
            )
        )
    return findings


def _smudge(
    view: Overview, ink: NDArray[np.bool_], tissue: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    own = [float(np.median(plane[tissue])) for plane in view.floor]
    added = np.stack([p - o for p, o in zip(view.floor, own, strict=True)])
    total = np.maximum(added.sum(0), 1e-3)
    least = added.min(0)
    grey = (least > SMUDGE_ADDED) & (least > SMUDGE_NEUTRAL * total) & ~ink
    size = SMUDGE_AREA_UM2 / view.mpp**2
    grey = drop_small(ndimage.binary_opening(grey), max(12, round(size)))
    # a fold of blue and brown is grey as dirt is, but a band
    return drop_long(grey, SMUDGE_LONGEST)
