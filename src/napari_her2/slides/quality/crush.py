"""Crushed tissue: nuclei squeezed and drawn out into parallel dark streaks.

Method: the structure tensor of the density of red light (haematoxylin takes it,
eosin hardly), averaged over a square of
tissue. Its coherence, 0 for no direction and 1 for one alone, is high for streaks
and for fibres; but fibres hold little haematoxylin, streaks as much as a crowd of
nuclei.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.slides.quality.dyes import Floats
from napari_her2.slides.quality.squares import means_of_squares

COHERENCE: Final = 0.45
HAEMATOXYLIN: Final = {Stain.HE: 0.70, Stain.IHC: 0.80}
"""Least mean haematoxylin of a square, as a share of the 90th percentile of the
slide's squares: crowds of nuclei have 1, fibres of H&E at most 0.5."""
ENERGY: Final = {Stain.HE: 0.05, Stain.IHC: 0.05}
"""Least squared slope of the haematoxylin, as a share of the 90th percentile of
the slide's squares; the counterstain of IHC colours fibres too, but evenly."""
FEWEST_CELLS: Final = 4
_SMOOTH_UM: Final = 1.5


def streaks(
    haematoxylin: Floats, mpp: float, cell_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return coherence, squared slope and mean haematoxylin of each square."""
    smooth = ndimage.gaussian_filter(haematoxylin, _SMOOTH_UM / mpp, truncate=3)
    down, along = np.gradient(smooth)
    yy, xx, xy = (
        means_of_squares(f, cell_px) for f in (down * down, along * along, down * along)
    )
    energy = yy + xx
    coherence = np.sqrt((yy - xx) ** 2 + 4 * xy**2) / np.maximum(energy, 1e-12)
    return coherence, energy, means_of_squares(haematoxylin, cell_px)


def crushed(
    coherence: NDArray[np.float64],
    energy: NDArray[np.float64],
    haematoxylin: NDArray[np.float64],
    is_tissue: NDArray[np.bool_],
    stain: Stain,
) -> NDArray[np.bool_]:
    """Tell which squares of a slide, of any shape, are crushed."""
    if is_tissue.sum() < 10:
        return np.zeros(coherence.shape, bool)
    usual = np.quantile(haematoxylin[is_tissue], 0.9)
    steep = np.quantile(energy[is_tissue], 0.9)
    found = is_tissue & (coherence > COHERENCE)
    found &= haematoxylin > HAEMATOXYLIN[stain] * usual
    found &= energy > ENERGY[stain] * steep
    return np.asarray(found, bool)
