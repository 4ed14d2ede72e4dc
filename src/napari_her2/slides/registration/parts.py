"""Which places of a section are fitted, and which are kept to check the fit.

A section is divided into squares; every second one in every second row checks and is
masked out of every fit. Patches lie on all of it, most of them across squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.slides.registration.section import Section

PATCH_PX: Final = 64
_SQUARE_PX: Final = 96
_STEP_PX: Final = 16
_LEAST_TISSUE: Final = 0.15

KINDS: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Kinds of squares: whether their row and their column are odd."""
CHECKS: Final = KINDS[-1]

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The two parts of a section, and the patches on them.

    Parameters
    ----------
    fitted
        (h, w), False where the section checks.
    fit_px, check_px
        (n, 2) centres of patches that lie wholly in one part.
    other_px
        (n, 2) of patches that lie wholly in one square that is fitted.
    square_px
        Side of a square.
    """

    fitted: NDArray[np.bool_]
    fit_px: Places
    check_px: Places
    other_px: Places
    square_px: int

    def squares(self, centres_px: Places) -> tuple[Places, Places]:
        """Return the first and the last square (n, 2) that each patch meets."""
        half, last = PATCH_PX // 2, np.array(self.fitted.shape) - 1
        # a square at the edge of the section goes on beyond it
        ends = np.minimum(centres_px + half - 1, last)
        return (centres_px - half) // self.square_px, ends // self.square_px

    def meets(self, centres_px: Places, kind: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which patches (n,) meet a square of a kind."""
        # a patch is not wider than a square: it meets two of them at most
        both = [ends % 2 == kind for ends in self.squares(centres_px)]
        met: NDArray[np.bool_] = (both[0] | both[1]).all(1)
        return met

    def within(self, centres_px: Places, kind: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which patches (n,) lie wholly in one square of a kind."""
        first, last = self.squares(centres_px)
        inside: NDArray[np.bool_] = ((first == last) & (first % 2 == kind)).all(1)
        return inside


def split(section: Section) -> Split:
    """Set a quarter of a section aside for checking, and lay patches on both parts."""
    height, width = section.shape
    square = min(_SQUARE_PX, max(PATCH_PX, max(section.shape) // 4))
    rows, columns = np.arange(height) // square, np.arange(width) // square
    fitted = (rows[:, None] % 2 == 0) | (columns % 2 == 0)
    ys, xs = (np.arange(PATCH_PX // 2, side, _STEP_PX) for side in section.shape)
    centres = np.stack(np.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)
    near = ndimage.uniform_filter(section.tissue.astype(np.float32), PATCH_PX)
    centres = centres[near[tuple(centres.T)] > _LEAST_TISSUE]
    none = centres[:0]
    parts = Split(fitted, none, none, none, square)
    others = [parts.within(centres, kind) for kind in KINDS if kind != CHECKS]
    return Split(
        fitted,
        centres[~parts.meets(centres, CHECKS)],
        centres[parts.within(centres, CHECKS)],
        centres[np.any(others, axis=0)],
        square,
    )
