"""Whether what an IHC slide shows are haematoxylin and DAB at all.

Three things are read as staining that is none. Where there is no haematoxylin, holes
between brown membranes pass for nuclei. Colours that no mixture of the two dyes has,
such as those of a chart or a photograph, are forced into one. And black pigment takes
as much light of every colour, so that some of it counts as DAB: melanin, carbon,
formalin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.stain.vectors import StainVectors

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

LEAST_HAEMATOXYLIN_OD: Final = 0.07
"""Haematoxylin that a hundredth of the tissue reaches. On real HER2 cores .19 or more,
and .11 after a blur of 1.8 µm; on virtual ones .18; where there is none below .05."""

MOST_UNEXPLAINED: Final = 0.2
"""Median share of the density that is neither dye. Real and virtual fields have at most
.09, random colours .35."""

MOST_PIGMENT: Final = 0.5
LEAST_PIGMENT: Final = 0.005
"""Share of the DAB in black pixels, and of the tissue that is black, from which it is
pigment. HER2 has at most .04 of its DAB there, drawn pigment .73 or more."""

_TISSUE_OD: Final = 0.2
_BROWN_OD: Final = 0.12
_LEAST_TISSUE_PX: Final = 500
_BLACK_OD: Final = 0.35
_BLACK_HUE: Final = (0.62, 1.4)
"""Red over blue density; DAB has .35, haematoxylin 2.3."""


@dataclass(frozen=True, slots=True, eq=False)
class DyeMaps:
    """Optical density (h, w, 3) of a place, and how much of either dye (h, w) it is."""

    vectors: StainVectors
    density: Floats
    haematoxylin: Floats
    dab: Floats

    @property
    def tissue(self) -> Bools:
        """Where anything takes light (h, w)."""
        return np.asarray(self.density.sum(-1) > _TISSUE_OD)


def why_not_dyes(seen: Sequence[DyeMaps]) -> str:
    """Return why some places show other colours than the two dyes, or nothing."""
    tissue = [one.tissue for one in seen]
    n = sum(np.count_nonzero(mask) for mask in tissue)
    if n < _LEAST_TISSUE_PX:
        return ""
    pairs = list(zip(seen, tissue, strict=True))
    unexplained = np.median(np.concatenate([_unexplained(*pair) for pair in pairs]))
    if unexplained > MOST_UNEXPLAINED:
        return (
            f"colours that are neither haematoxylin nor DAB ({unexplained:.0%} of the "
            "light taken)"
        )
    blue = [ndimage.gaussian_filter(one.haematoxylin, 1.0)[mask] for one, mask in pairs]
    if np.percentile(np.concatenate(blue), 99) < LEAST_HAEMATOXYLIN_OD:
        return "no haematoxylin: nuclei cannot be seen, nor cells be counted"
    black_px = black_dab = dab = 0.0
    for one, mask in pairs:
        brown = np.where(mask & (one.dab > _BROWN_OD), one.dab, 0)
        black = _black(one.density)
        black_px += np.count_nonzero(black & mask)
        black_dab += float(brown[black].sum())
        dab += float(brown.sum())
    if black_px > LEAST_PIGMENT * n and black_dab > MOST_PIGMENT * dab:
        return (
            f"black pigment in {black_px / n:.1%} of the tissue (melanin, carbon or "
            "formalin?): it would be read as DAB"
        )
    return ""


def _unexplained(one: DyeMaps, tissue: Bools) -> Floats:
    """Return the share of the density of tissue pixels that lies off the dyes."""
    density = one.density[tissue]
    dyes = np.stack([one.haematoxylin[tissue], one.dab[tissue]], -1)
    pair = np.array([one.vectors.haematoxylin, one.vectors.second], np.float32)
    left = np.linalg.norm(density - dyes @ pair, axis=1)
    share: Floats = left / np.maximum(np.linalg.norm(density, axis=1), 0.05)
    return share


def _black(density: Floats) -> Bools:
    hue = density[..., 0] / np.maximum(density[..., 2], 0.01)
    is_grey = (hue > _BLACK_HUE[0]) & (hue < _BLACK_HUE[1])
    return np.asarray(is_grey & (density.min(-1) > _BLACK_OD))
