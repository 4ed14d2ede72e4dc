"""The edge effect: more of the second dye at the rim of the tissue than within.

Measured as the median amount of eosin or DAB in a rim of 50 µm against that at
150 to 500 µm, in pieces of 400 µm along the outline: the effect runs round the
tissue, a tumour at its edge does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.slides.quality.dyes import amounts
from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.shapes import Mask, drop_small, grown, solid

RIM_UM: Final = 50.0
INNER_UM: Final = (150.0, 500.0)
_PIECE_UM: Final = 400.0
RATIO: Final = 1.4
ADDED: Final = {Stain.HE: 0.10, Stain.IHC: 0.05}
"""A piece is affected if its rim has so many times, and so much more optical
density of, the second dye than the tissue within."""
PIECES_SHARE: Final = 0.6
FEWEST_PIECES: Final = 6
"""Least share of the pieces, and least pieces at all, for a finding."""


def find_edge(view: Overview, ink: Mask) -> Finding | None:
    """Return the affected rim, None where there is no edge effect."""
    body = solid(view.tissue & ~ink, view.px(30))
    body = ndimage.binary_fill_holes(drop_small(body, view.px(200) ** 2))
    if not body.any():
        return None
    near_ink = grown(ink, view.px(40))
    # where tissue or ink leaves the field there is no edge to look at
    depth = ndimage.distance_transform_edt(np.pad(body, 1, mode="edge"))
    depth = depth[1:-1, 1:-1] * view.mpp
    _, second = amounts(view.density, view.stain)
    stained = view.tissue & ~near_ink
    rim = stained & (depth <= RIM_UM) & body
    inner = stained & (depth > INNER_UM[0]) & (depth < INNER_UM[1])
    piece = max(4, round(_PIECE_UM / view.mpp))
    n_pieces = n_hit = 0
    hit = np.zeros_like(body)
    for y in range(0, body.shape[0], piece):
        for x in range(0, body.shape[1], piece):
            here = np.s_[y : y + piece, x : x + piece]
            around = np.s_[
                max(y - piece, 0) : y + 2 * piece, max(x - piece, 0) : x + 2 * piece
            ]
            if rim[here].sum() < 60 or inner[around].sum() < 200:
                continue
            n_pieces += 1
            out = float(np.median(second[here][rim[here]]))
            base = float(np.median(second[around][inner[around]]))
            if out > RATIO * base and out > base + ADDED[view.stain]:
                n_hit += 1
                hit[here] = rim[here]
    if n_pieces < FEWEST_PIECES or n_hit < PIECES_SHARE * n_pieces:
        return None
    share = float(hit.sum() / max(stained.sum(), 1))
    dye = "eosin" if view.stain is Stain.HE else "DAB"
    return Finding(
        FindingKind.EDGE,
        Severity.WARN,
        share,
        f"The rim of the tissue took up more {dye} than its inside, on "
        f"{n_hit / n_pieces:.0%} of the outline; do not score it there.",
        hit,
        view.pixel_px,
        view.mask_mpp,
    )
