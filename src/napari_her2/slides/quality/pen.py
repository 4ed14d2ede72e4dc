"""Pen on the slide, told from any stain by the hue of a layer of ink.

The hue is taken from the floor of the optical density (:mod:`.overview`), which
holds ink but neither nuclei nor fibres. Green and blue ink absorb red as no stain
does; red ink absorbs blue as much as green and next to no red; black ink lets
little of any colour through.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.shapes import drop_small, grown

LEAST_DENSITY: Final = 0.30
"""Sum of the floor's three densities from which its hue is looked at."""
RED_SHARE: Final = (0.48, 0.54)
"""Red's share of the absorption above which ink is green or blue: 0.09 above the
slide's own median, within these limits. Real tissue (26 tiles, 3 cores, 9 sections
and 4 slides) has at most 0.42 in 98 % of its pixels, real green and blue ink 0.54
to 0.63."""
_RED_ABOVE_MEDIAN: Final = 0.09
RED_INK: Final = (0.12, 0.36)
"""Red ink: red's share below the first, blue's above the second. Real red ink has
0.03 to 0.11 and 0.38 to 0.49; real tissue reaches at most 0.33 of blue where it has
so little red, brown DAB 0.41 but never below 0.17 of red."""
BLACK_DENSITY: Final = 0.45
"""Floor of each of the three densities from which ink is black: nowhere within
24 µm more than a third of any colour comes through. Real tissue stays below 0.30."""
LEAST_SIDE_UM: Final = 60.0
"""Side of a square as large as the smallest mark."""
_LEAST_SHARE: Final = 4e-4
"""The same as a share of the image, where the scale is unknown."""
NOTE_SHARE: Final = 0.01
BLOCK_SHARE: Final = 0.30
"""Shares of tissue and ink together from which ink is worth a warning, and from
which too little tissue is left clear of it."""
_AROUND_UM: Final = 150.0


def find_pen(view: Overview) -> Finding | None:
    """Return where ink lies, None where none does."""
    mask = pen_mask(view)
    if not mask.any():
        return None
    tissue = view.tissue & ~mask
    # a ring drawn far from the tissue hides none of it
    on_tissue = mask & grown(tissue, view.px(_AROUND_UM))
    if not tissue.any():
        on_tissue = mask
    share = float(on_tissue.sum() / max((tissue | on_tissue).sum(), 1))
    marked = float(mask.sum() / (tissue | mask).sum())
    severity = Severity.NOTE
    if share >= BLOCK_SHARE:
        severity = Severity.BLOCK
    elif marked >= NOTE_SHARE:
        severity = Severity.WARN
    where = f"Pen covers {share:.0%} of the tissue"
    if share < 0.005:
        where = "Pen lies beside the tissue"
    return Finding(
        FindingKind.PEN,
        severity,
        share,
        f"{where}; what lies under it cannot be assessed.",
        mask,
        view.pixel_px,
        view.mask_mpp,
    )


def pen_mask(view: Overview) -> NDArray[np.bool_]:
    """Return where ink lies (h, w)."""
    red, _, blue = view.floor
    total = view.floor_total
    absorbs = total > LEAST_DENSITY
    some = np.maximum(total, 1e-3)
    red_share, blue_share = red / some, blue / some
    limit = RED_SHARE[0]
    stained = view.tissue & (view.total > 0.2)
    if stained.sum() > 500:
        own = np.median(view.density[0][stained] / view.total[stained])
        limit = float(np.clip(own + _RED_ABOVE_MEDIAN, *RED_SHARE))
    is_ink = absorbs & (red_share > limit)
    is_ink |= absorbs & (red_share < RED_INK[0]) & (blue_share > RED_INK[1])
    is_ink |= view.floor.min(0) > BLACK_DENSITY
    least = view.px(LEAST_SIDE_UM) ** 2
    if not view.is_measured:
        least = max(12, round(_LEAST_SHARE * is_ink.size))
    return drop_small(is_ink, least)
