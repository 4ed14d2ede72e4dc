"""Layers that do not belong: a fold of the section, dirt above it.

Both raise the floor of the optical density (:mod:`.overview`) clearly above what
it is elsewhere on the same slide. The hue of what was added tells them apart: a
fold adds more of the slide's own dyes, dirt out of focus takes every colour alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.overview import Floats, Overview
from napari_her2.slides.quality.shapes import drop_small, grown

ABOVE_SPREAD: Final = 2.4
"""How many times the span from median to 90th percentile of the tissue's floor
above the median a fold begins; on 48 clean virtual fields the 99.9th percentile
lies at 1.5 to 2.2 of H&E and below it in the red of IHC."""
ABOVE_LOCAL: Final = 1.45
"""Least ratio of a fold's floor to the mean within 250 µm: two layers give 2."""
LEAST_ADDED: Final = {Stain.HE: 0.12, Stain.IHC: 0.045}
"""Least density above the median: total of H&E, red of IHC (DAB hardly absorbs
red, so that dense brown is no fold)."""
FOLD_LENGTH_UM: Final = 140.0
FOLD_AREA_UM2: Final = 5_000.0
SMUDGE_ADDED: Final = 0.09
"""Least density that dirt adds in every colour. The grey blob on the third HER2
core adds 0.15 to 0.2."""
SMUDGE_NEUTRAL: Final = 0.27
"""Least share of each colour in what dirt adds; 1/3 is grey."""
SMUDGE_AREA_UM2: Final = 3_000.0
_AROUND_UM: Final = 250.0
_INK_RIM_UM: Final = 50.0
WARN_SHARE: Final = 0.005
BLOCK_SHARE: Final = 0.25
"""Shares of the tissue from which a fold or dirt is worth a warning, and from
which too little is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Masks (h, w) of folds and of dirt."""

    fold: NDArray[np.bool_]
    smudge: NDArray[np.bool_]


def find_layers(view: Overview, ink: NDArray[np.bool_]) -> list[Finding]:
    """Return what lies double or under dirt, outside ``ink`` (h, w)."""
    found = _layers(view, ink)
    if found is None:
        return []
    tissue = max(int((view.tissue & ~ink).sum()), 1)
    sentences = (
        (FindingKind.FOLD, found.fold, "The section is folded over"),
        (FindingKind.SMUDGE, found.smudge, "Dirt or haze lies over"),
    )
    findings = []
    for kind, mask, words in sentences:
        share = float((mask & view.tissue).sum() / tissue)
        if not mask.any():
            continue
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


def _layers(view: Overview, ink: NDArray[np.bool_]) -> Layers | None:
    # the soft rim of a stroke is no layer of tissue
    near_ink = grown(ink, view.px(_INK_RIM_UM))
    tissue = view.tissue & ~near_ink
    if tissue.sum() < 400:
        return None
    value = view.floor_total if view.stain is Stain.HE else view.floor[0]
    mid, high = (float(q) for q in np.quantile(value[tissue], (0.5, 0.9)))
    least = mid + max(ABOVE_SPREAD * (high - mid), LEAST_ADDED[view.stain])
    local = _local_mean(np.minimum(value, high), tissue, view.px(_AROUND_UM))
    raised = (value > least) & (value > ABOVE_LOCAL * local) & ~near_ink
    smudge = _smudge(view, ink, tissue)
    fold = _long(raised & ~smudge, view)
    return Layers(fold, smudge)


def _smudge(
    view: Overview, ink: NDArray[np.bool_], tissue: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    own = [float(np.median(plane[tissue])) for plane in view.floor]
    added = np.stack([p - o for p, o in zip(view.floor, own, strict=True)])
    total = np.maximum(added.sum(0), 1e-3)
    least = added.min(0)
    grey = (least > SMUDGE_ADDED) & (least > SMUDGE_NEUTRAL * total) & ~ink
    size = SMUDGE_AREA_UM2 / view.mpp**2
    return drop_small(ndimage.binary_opening(grey), max(12, round(size)))


def _long(raised: NDArray[np.bool_], view: Overview) -> NDArray[np.bool_]:
    """Keep what is as long as a fold."""
    raised = drop_small(raised, max(12, round(FOLD_AREA_UM2 / view.mpp**2)))
    labels, count = ndimage.label(raised, np.ones((3, 3)))
    keep = np.zeros(count + 1, bool)
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None:
            height, width = (s.stop - s.start for s in box)
            keep[index] = np.hypot(height, width) * view.mpp >= FOLD_LENGTH_UM
    return np.asarray(keep[labels], bool)


def _local_mean(value: Floats, where: NDArray[np.bool_], radius_px: int) -> Floats:
    """Return the mean (h, w) of a field over the pixels that count nearby."""
    size = 2 * radius_px + 1
    weight = ndimage.uniform_filter(where.astype(np.float32), size)
    total = ndimage.uniform_filter(np.where(where, value, 0), size)
    return np.asarray(total / np.maximum(weight, 1e-3), np.float32)
