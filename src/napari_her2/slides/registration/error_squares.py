"""The error of a registration square by square, each by a fit that never saw it.

A quarter of the squares is kept out of every fit. For the others the bend is fitted
again, without one kind of them at a time, and the error of that fit is told. The bend
that is used knows more, so that it is rather better. An affine map is six numbers for
a whole section: no square can bring it about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.error_map import ErrorCell, ErrorMap
from napari_her2.core.transform import Warp
from napari_her2.slides.registration.matching import Matches
from napari_her2.slides.registration.parts import CHECKS, KINDS, Split
from napari_her2.slides.registration.section import Section

_FEWEST_HERE: Final = 3
_LEAST_FOUND: Final = 1 / 3
_LEAST_HERE: Final = 0.01
"""Share of a square that must be tissue to be told of."""


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """A warp that goes before an affine map, and how it was come by.

    Parameters
    ----------
    warp
        Of the fixed section.
    matches
        What it follows; shifts as the affine map leaves them.
    fit
        Fits a warp to matches, None where it would fold the section.
    """

    warp: Warp
    matches: Matches
    fit: Callable[[Matches], Warp | None]


def error_map(
    fixed: Section, found: Matches, parts: Split, bend: Bend | None = None
) -> ErrorMap:
    """Return the median error of every square with tissue.

    A square counts as checked where a third of its patches were recognised, three at
    least: scattered ones chance may have found.

    Parameters
    ----------
    found
        Patches of ``parts.check_px`` and ``parts.other_px`` that were recognised under
        the registration.
    bend
        The bend of the registration, where it was fitted to ``parts``.
    """
    square = parts.square_px
    away_um = errors_um(fixed, found, parts, bend)
    looked = np.concatenate([parts.check_px, parts.other_px]) // square
    places = _pixels(fixed, found) // square
    height, width = fixed.shape
    tissue = np.zeros((-(-height // square), -(-width // square)))
    rows, columns = np.arange(height)[:, None] // square, np.arange(width) // square
    np.add.at(tissue, (rows, columns), fixed.tissue)
    tissue /= square**2
    n_looked = np.zeros(tissue.shape)
    np.add.at(n_looked, tuple(looked.T), 1)
    cells = []
    for row, col in np.argwhere(tissue > _LEAST_HERE).tolist():
        here = away_um[(places == (row, col)).all(1)]
        fewest = max(_FEWEST_HERE, _LEAST_FOUND * float(n_looked[row, col]))
        error_um = round(float(np.median(here)), 1) if len(here) >= fewest else None
        cells.append(ErrorCell(row, col, round(float(tissue[row, col]), 3), error_um))
    return ErrorMap((0.0, 0.0), square * fixed.um_per_px, tuple(cells))


def errors_um(
    fixed: Section, found: Matches, parts: Split, bend: Bend | None
) -> NDArray[np.float64]:
    """Return (n,), how far each match lies from where a fit without it puts it."""
    away_um: NDArray[np.float64] = np.linalg.norm(found.shifts_um, axis=1)
    if bend is None:
        return away_um
    there_um = bend.warp.apply(found.centres_um + found.shifts_um)
    centres_px = _pixels(fixed, found)
    checks = parts.within(centres_px, CHECKS)
    moved = Matches(
        found.centres_um, there_um - found.centres_um, found.peaks, found.distinct
    )
    known = bend.matches.and_also(moved.where(checks))
    known_px = _pixels(fixed, known)
    for kind in KINDS:
        here = parts.within(centres_px, kind)
        if kind == CHECKS or not here.any():
            continue
        without = bend.fit(known.where(~parts.meets(known_px, kind)))
        rest = there_um[here] - (without or bend.warp).apply(found.centres_um[here])
        away_um[here] = np.linalg.norm(rest, axis=1)
    return away_um


def _pixels(fixed: Section, matches: Matches) -> NDArray[np.intp]:
    return np.floor(matches.centres_um / fixed.um_per_px).astype(np.intp)
