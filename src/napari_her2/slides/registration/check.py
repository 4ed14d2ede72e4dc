"""A warp cannot certify itself: places kept out of fitting say how far it is off.

A quarter of the section, square by square, is masked out of every fit. Afterwards
patches in those squares are looked for on the other section. How many patches are
recognised by chance is counted too, by looking for each in the place of another.
Each square speaks for the tissue nearest to it; where nothing in it is recognised
nobody knows how the sections lie there, and the map of the error says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.errors import UsageError
from napari_her2.core.registration import RegistrationError
from napari_her2.core.transform import Transform
from napari_her2.slides.registration.matching import Matches, PatchFinder, lay_on
from napari_her2.slides.registration.section import Section, read_section
from napari_her2.slides.slide import Slide

PATCH_PX: Final = 64
_SQUARE_PX: Final = 96
_STEP_PX: Final = 16
_LEAST_TISSUE: Final = 0.15
_CHANCE: Final = 0.05
_RARER: Final = 3
"""Chance is measured on every third patch."""
_REACH_PX: Final = 36
_FEWEST_HERE: Final = 3
_LEAST_HERE: Final = 0.01
"""Share of a cell that must be tissue to be told of."""
_NEAR: Final = 0.5
_MOST: Final = 0.6
"""By chance a fifth of the places would lie in the inner half of the reach."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which pixels of the fixed section are fitted, and which check.

    ``fitted`` (h, w); ``fit_px`` and ``check_px`` (n, 2) centres of patches;
    ``square_px`` the side of the squares, of which every second one in every second
    row checks.
    """

    fitted: NDArray[np.bool_]
    fit_px: NDArray[np.intp]
    check_px: NDArray[np.intp]
    square_px: int


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
    # a square at the edge of the section goes on beyond it
    within = [np.pad(side, PATCH_PX, mode="edge") for side in (fitted, ~fitted)]
    whole = [
        ndimage.minimum_filter(side, PATCH_PX)[tuple(centres.T + PATCH_PX)]
        for side in within
    ]
    return Split(fitted, centres[whole[0]], centres[whole[1]], square)


def look(
    fixed: Section,
    moving: Section,
    transform: Transform,
    centres_px: NDArray[np.intp],
    *,
    reach_px: int,
) -> tuple[Matches, float]:
    """Look for patches, and say how many of those found chance would find.

    Returns
    -------
    Matches
        Those that are found better than all but one in twenty are by chance.
    float
        How many of them are expected by chance.
    """
    finder = PatchFinder(
        fixed, lay_on(moving, fixed, transform), patch_px=PATCH_PX, reach_px=reach_px
    )
    found = finder.find(centres_px).found
    rarer = centres_px[::_RARER]
    # nothing true can be found in the place of another patch
    by_chance = finder.find(rarer, np.roll(rarer, len(rarer) // 2, 0)).found.peaks
    limit = float(np.quantile(by_chance, 1 - _CHANCE)) if len(by_chance) else 0.0
    n_chance = _CHANCE * len(by_chance) * _RARER
    return found.where(found.peaks > limit), n_chance


def check(
    fixed: Section, moving: Section, transform: Transform, parts: Split
) -> tuple[Matches, RegistrationError]:
    """Look for the places set aside.

    Returns
    -------
    Matches
        Those that are found.
    RegistrationError
        How far the transform is off in them. Where most lie in the outer half of
        the reach they lie anywhere, and it cannot be told.
    """
    found, n_chance = look(fixed, moving, transform, parts.check_px, reach_px=_REACH_PX)
    away_um = np.linalg.norm(found.shifts_um, axis=1)
    near_um = _NEAR * _REACH_PX * fixed.um_per_px
    median_um = p90_um = float("nan")
    if len(found) and np.mean(away_um < near_um) >= _MOST:
        median_um, p90_um = np.quantile(away_um, [0.5, 0.9]).tolist()
    n_looked = len(parts.check_px)
    local = error_map(fixed, found, parts)
    error = RegistrationError(median_um, p90_um, len(found), n_looked, n_chance, local)
    return found, error


def error_map(fixed: Section, found: Matches, parts: Split) -> ErrorMap:
    """Return the error of every square that checks, for the tissue nearest to it.

    A square counts as checked where a third of its patches were recognised, three at
    least: scattered ones chance may have found.
    """
    square, cell = parts.square_px, 2 * parts.square_px
    # squares that check lie in the middle of cells; a row of cells begins beside the
    # slide and speaks for what lies before the first squares
    first = square // 2 - cell
    n_rows, n_cols = (max(1, -(-(side - square) // cell)) for side in fixed.shape)
    looked, errors = (np.zeros((n_rows, n_cols)) for _ in range(2))
    np.add.at(looked, tuple((parts.check_px // cell).T), 1)
    places = np.floor(found.centres_um / fixed.um_per_px).astype(int) // cell
    away_um = np.linalg.norm(found.shifts_um, axis=1)
    for row, col in np.ndindex(n_rows, n_cols):
        here = away_um[(places == (row, col)).all(1)]
        is_checked = len(here) >= max(_FEWEST_HERE, float(looked[row, col]) / 3)
        errors[row, col] = np.median(here) if is_checked else np.nan
    height, width = fixed.shape
    ys, xs = (np.arange(side) - first for side in (height, width))
    tissue = np.zeros((ys[-1] // cell + 1, xs[-1] // cell + 1))
    np.add.at(tissue, (ys[:, None] // cell, xs // cell), fixed.tissue)
    tissue /= cell**2
    cells = []
    for row, col in np.argwhere(tissue > _LEAST_HERE).tolist():
        error = errors[
            int(np.clip(row - 1, 0, n_rows - 1)), int(np.clip(col - 1, 0, n_cols - 1))
        ]
        error_um = None if np.isnan(error) else round(float(error), 1)
        cells.append(ErrorCell(row, col, round(float(tissue[row, col]), 3), error_um))
    corner_um = first * fixed.um_per_px
    return ErrorMap((corner_um, corner_um), cell * fixed.um_per_px, tuple(cells))


def measure_error(
    fixed: Section, moving: Section, transform: Transform, parts: Split
) -> RegistrationError:
    """Measure how far a transform is off in the places set aside."""
    _, error = check(fixed, moving, transform, parts)
    return error


def measure_slides(he: Slide, ihc: Slide, transform: Transform) -> RegistrationError:
    """Measure how far a transform between two slides of known scale is off.

    Raises
    ------
    SlideError
        If a slide cannot be read or has too little tissue.
    UsageError
        If the scale of a slide is not known.
    """
    if he.mpp is None or ihc.mpp is None:
        raise UsageError("The scale of a slide is unknown.", "Enter its µm per pixel.")
    fixed, moving = read_section(he, he.mpp), read_section(ihc, ihc.mpp)
    return measure_error(fixed, moving, transform, split(fixed))
