"""A warp cannot certify itself: places kept out of fitting say how far it is off.

A quarter of the section, square by square, is masked out of every fit. Afterwards
patches in those squares are looked for on the other section. How many patches are
recognised by chance is counted too, by looking for each in the place of another.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from napari_her2.core.errors import UsageError
from napari_her2.core.registration import RegistrationError
from napari_her2.core.transform import Transform
from napari_her2.slides.registration.error_squares import Bend, error_map
from napari_her2.slides.registration.matching import Matches, PatchFinder, lay_on
from napari_her2.slides.registration.parts import PATCH_PX, Places, Split, split
from napari_her2.slides.registration.section import Section, read_section
from napari_her2.slides.slide import Slide

_CHANCE: Final = 0.05
_RARER: Final = 3
"""Chance is measured on every third patch."""
_REACH_PX: Final = 36
_NEAR: Final = 0.5
_MOST: Final = 0.6
"""By chance a fifth of the places would lie in the inner half of the reach."""


def look(
    fixed: Section,
    moving: Section,
    transform: Transform,
    centres_px: Places,
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
    mapped = lay_on(moving, fixed, transform)
    finder = PatchFinder(fixed, mapped, patch_px=PATCH_PX, reach_px=reach_px)
    return _recognised(finder, centres_px)


def _recognised(finder: PatchFinder, centres_px: Places) -> tuple[Matches, float]:
    """Return what is found better than chance would, and how many chance finds."""
    found = finder.find(centres_px).found
    rarer = centres_px[::_RARER]
    # nothing true can be found in the place of another patch
    by_chance = finder.find(rarer, np.roll(rarer, len(rarer) // 2, 0)).found.peaks
    limit = float(np.quantile(by_chance, 1 - _CHANCE)) if len(by_chance) else 0.0
    n_chance = _CHANCE * len(by_chance) * _RARER
    return found.where(found.peaks > limit), n_chance


def check(
    fixed: Section, moving: Section, transform: Transform, parts: Split
) -> Matches:
    """Look for the places set aside, and return those that are found."""
    found, _ = look(fixed, moving, transform, parts.check_px, reach_px=_REACH_PX)
    return found


def measure_error(
    fixed: Section,
    moving: Section,
    transform: Transform,
    parts: Split,
    bend: Bend | None = None,
) -> RegistrationError:
    """Measure how far a transform is off.

    The error of the whole is that in the places set aside. Where most of them lie in
    the outer half of the reach they lie anywhere, and it cannot be told.

    Parameters
    ----------
    bend
        The bend of the transform, where it was fitted to ``parts``; see
        :func:`.error_map`.
    """
    mapped = lay_on(moving, fixed, transform)
    finder = PatchFinder(fixed, mapped, patch_px=PATCH_PX, reach_px=_REACH_PX)
    found, n_chance = _recognised(finder, parts.check_px)
    others, _ = _recognised(finder, parts.other_px)
    away_um = np.linalg.norm(found.shifts_um, axis=1)
    near_um = _NEAR * _REACH_PX * fixed.um_per_px
    median_um = p90_um = float("nan")
    if len(found) and np.mean(away_um < near_um) >= _MOST:
        median_um, p90_um = np.quantile(away_um, [0.5, 0.9]).tolist()
    local = error_map(fixed, found.and_also(others), parts, bend)
    n_looked = len(parts.check_px)
    return RegistrationError(median_um, p90_um, len(found), n_looked, n_chance, local)


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
