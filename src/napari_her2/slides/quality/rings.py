"""Air bubbles and droplets, found by their dark round rims.

A rim bends light away and so takes every colour alike, as eosin, haematoxylin and
DAB each do not: it is looked for in what stands above the floor of the density, as a
line thinner than the floor's window. What is round and closed, or an
arc of an ellipse, is a bubble; many small rings together are droplets.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from napari_her2.slides.quality.ellipse import fit_ellipse
from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.shapes import Mask, drop_small, grown, solid

RIM_DENSITY: Final = 0.20
"""How far the rim's least density stands above the floor."""
RIM_NEUTRAL: Final = 0.5
"""Least over most of the densities that a rim adds; nuclei have 0.41, DAB 0.35."""
BUBBLE_UM: Final = (110.0, 4000.0)
"""Diameters of bubbles; fat cells end at about 100 µm."""
DROPLET_UM: Final = (16.0, 90.0)
FEWEST_DROPLETS: Final = 6
"""Rings within 150 µm of each other that make a crowd of droplets."""
_CROWD_UM: Final = 75.0
_RING_HOLE: Final = 0.25
"""Least share of a filled ring that its rim leaves open."""
_ROUND: Final = 0.72
"""Least share of its circumscribed circle that a droplet fills."""
ARC_SHARE: Final = 0.7
"""Least part of an ellipse's outline, as far as it is in the image, that must be
rim."""
ARC_ALONE: Final = 0.45
BESIDE_UM: Final = 35.0
"""By how much more of it must be rim than of the same outline 35 µm within and
without: dark clutter lies everywhere, a rim alone."""
WARN_SHARE: Final = 0.005
BLOCK_SHARE: Final = 0.5


def find_rings(view: Overview, ink: Mask) -> list[Finding]:
    """Return bubbles and droplets outside ``ink`` (h, w)."""
    rim = rim_mask(view) & ~grown(ink, view.px(30))
    # a crowd of droplets may well lie on an ellipse
    droplets = _droplets(rim, view)
    crowd = grown(droplets, view.px(_CROWD_UM))
    bubbles = _bubbles(rim & ~crowd, view)
    return [
        _finding(view, kind, mask, words)
        for kind, mask, words in (
            (FindingKind.BUBBLE, bubbles, "An air bubble lies over"),
            (FindingKind.DROPLETS, droplets, "Droplets lie over"),
        )
        if mask.any()
    ]


def rim_mask(view: Overview) -> Mask:
    """Return thin dark lines without a colour (h, w)."""
    thin = view.density - view.floor
    least, most = thin.min(0), thin.max(0)
    return np.asarray((least > RIM_DENSITY) & (least > RIM_NEUTRAL * most), bool)


def _finding(view: Overview, kind: FindingKind, mask: Mask, words: str) -> Finding:
    tissue = solid(view.tissue, view.px(30))
    share = float((mask & tissue).sum() / max(tissue.sum(), 1))
    severity = Severity.WARN if share >= WARN_SHARE else Severity.NOTE
    if share >= BLOCK_SHARE:
        severity = Severity.BLOCK
    return Finding(
        kind,
        severity,
        share,
        f"{words} {share:.1%} of the tissue, which is blurred or darkened there.",
        mask,
        view.pixel_px,
        view.mask_mpp,
    )


def _bubbles(rim: Mask, view: Overview) -> Mask:
    low, high = (length / view.mpp for length in BUBBLE_UM)
    closed = ndimage.binary_closing(np.pad(rim, 2), np.ones((3, 3)))[2:-2, 2:-2]
    labels, _ = ndimage.label(closed, np.ones((3, 3)))
    out = np.zeros_like(rim)
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        if max(s.stop - s.start for s in box) < 0.7 * low:
            continue
        rows, cols = np.nonzero(labels[box] == index)
        rows, cols = rows + box[0].start, cols + box[1].start
        if len(rows) < 2 * low:
            continue
        found = fit_ellipse(rows, cols, tolerance_px=max(1.5, 8 / view.mpp))
        if found is not None and low <= found.diameter <= high:
            near = max(1.5, 8 / view.mpp)
            arc = found.arc_share(closed, near)
            beside = max(
                found.grown(by).arc_share(closed, 1.0)
                for by in (-BESIDE_UM / view.mpp, BESIDE_UM / view.mpp)
            )
            if arc >= ARC_SHARE and arc - beside >= ARC_ALONE:
                out |= found.inside(rim.shape)
    return out


def _droplets(rim: Mask, view: Overview) -> Mask:
    low, high = (length / view.mpp for length in DROPLET_UM)
    filled = ndimage.binary_fill_holes(rim)
    labels, count = ndimage.label(filled)
    if not count:
        return np.zeros_like(rim)
    keep = np.zeros(count + 1, bool)
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        height, width = (s.stop - s.start for s in box)
        side = max(height, width)
        if not low <= side <= high or min(height, width) < 0.7 * side:
            continue
        object_ = labels[box] == index
        area = int(object_.sum())
        hole = area - int((object_ & rim[box]).sum())
        is_round = area >= _ROUND * np.pi / 4 * side * side
        keep[index] = is_round and hole >= _RING_HOLE * area
    rings = np.asarray(keep[labels], bool)
    crowds, n_crowds = ndimage.label(grown(rings, view.px(_CROWD_UM)))
    _, first = np.unique(np.where(rings, labels, 0), return_index=True)
    members = np.bincount(crowds.ravel()[first], minlength=n_crowds + 1)
    members[0] = 0
    rings &= (members >= FEWEST_DROPLETS)[crowds]
    return drop_small(rings, 2)
