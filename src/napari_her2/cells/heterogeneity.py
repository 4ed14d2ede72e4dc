"""Whether positive cells lie among the others or apart from them.

Two things a reader asks of a tumour that is not all alike: are the positive cells
mixed with the rest or do they lie together, and where are they densest. The first
is answered by the join count of a graph of nearest neighbours, the second by a disc
of the size of one field of view.

ASCO/CAP reports clustered heterogeneity as present or not and gives no numbers for
it. All limits here are this project's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["too few", "none", "scattered", "clustered"]

NEIGHBOURS = 5
"""Nearest cells that a cell is joined to, as in sc-MTOP (Nat Commun 2023;14:6796)."""

LEAST_CELLS = 50
LEAST_POSITIVE = 10

HOMOGENEOUS_SHARE = 0.9
"""From this share of positive cells on, the tumour counts as all positive."""

LEAST_Z = 2.326
"""Standard deviations above chance; beyond it lies 1 % of chance, on one side."""

LEAST_ATTRACTION = 0.2
"""Among many cells the least departure from chance is certain; a cluster has to be
one to the eye as well. Set on virtual tissue: reached about where neighbours share
half of what makes cells differ in HER2."""

DISC_RADIUS_UM = 250.0
"""Radius of a hot spot: about the field of view of an objective of 40x."""

DISC_LEAST_CELLS = 50


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How positive cells lie among the cells of a tumour.

    Parameters
    ----------
    kind
        "too few" cells to tell; "none" where nearly all are positive; else
        "clustered" or "scattered".
    overall_share
        Share of positive cells, NaN of no cells.
    attraction
        How much more often a neighbour of a positive cell is positive than chance
        gives: 0 by chance, 1 where positive cells lie apart from the others, below 0
        where they avoid each other; NaN where there are too few.
    z
        Standard deviations of the join count above chance; NaN as above.
    hot_spot_um
        Centre (y, x) of the disc of ``DISC_RADIUS_UM`` with the highest share among
        those of ``DISC_LEAST_CELLS`` cells or more; None where there is none.
    hot_spot_share
        Share of positive cells in it. The highest of many shares is higher than the
        overall one even by chance; NaN where there is no such disc.
    """

    kind: Kind
    overall_share: float
    attraction: float = math.nan
    z: float = math.nan
    hot_spot_um: tuple[float, float] | None = None
    hot_spot_share: float = math.nan


def heterogeneity(positions_um: Floats, positive: Bools) -> Heterogeneity:
    """Tell how positive cells lie among the others.

    Parameters
    ----------
    positions_um
        (n, 2), centres (y, x) of invasive tumour cells.
    positive
        (n,), which of them are positive, in whatever sense is asked about.

    Raises
    ------
    ValueError
        If shapes do not fit, a position is not finite or ``positive`` is no mask.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :20] * 10.0
    >>> found = heterogeneity(np.stack([y.ravel(), x.ravel()], -1), x.ravel() < 50)
    >>> found.kind, found.overall_share
    ('clustered', 0.25)
    """
    if positive.ndim != 1 or positions_um.shape != (len(positive), 2):
        raise ValueError(
            f"positions {positions_um.shape} do not fit cells {positive.shape}"
        )
    if positive.dtype != np.bool_:
        raise ValueError(f"positive cells are a mask, not {positive.dtype}")
    if not np.isfinite(positions_um).all():
        raise ValueError("positions of cells must be finite")
    n, hits = len(positive), int(positive.sum())
    share = hits / n if n else math.nan
    if n < LEAST_CELLS or hits < LEAST_POSITIVE:
        return Heterogeneity("too few", share)
    centre_um, densest = _hot_spot(positions_um, positive)
    attraction, z = _attraction(_joins(positions_um), positive)
    if share >= HOMOGENEOUS_SHARE:
        kind: Kind = "none"
    elif z > LEAST_Z and attraction >= LEAST_ATTRACTION:
        kind = "clustered"
    else:
        kind = "scattered"
    return Heterogeneity(kind, share, attraction, z, centre_um, densest)


def _joins(positions_um: Floats) -> NDArray[np.intp]:
    """Return (n, k), the nearest other cells of each."""
    _, found = cKDTree(positions_um).query(positions_um, NEIGHBOURS + 1)
    itself = found == np.arange(len(found))[:, None]
    # of many cells in one place a cell may not find itself: drop the last instead
    itself[~itself.any(1), -1] = True
    others: NDArray[np.intp] = found[~itself].reshape(len(found), NEIGHBOURS)
    return others


def _attraction(joins: NDArray[np.intp], positive: Bools) -> tuple[float, float]:
    """Return the attraction of positive cells, and its standard deviations.

    The join count is the number of joins (i, j) of which both ends are positive.
    Its mean and variance are those over all ways to give the same number of
    positive cells to the same places: Cliff & Ord, Spatial Processes, 1981,
    chapter 2 (nonfree sampling), with weights that need not be symmetric.
    """
    n, hits = len(positive), int(positive.sum())
    if hits == n:
        return math.nan, math.nan
    count = int(positive[joins[positive]].sum())
    # chance that 2, 3, 4 given cells are all positive
    two = hits * (hits - 1) / (n * (n - 1))
    three = two * (hits - 2) / (n - 2)
    four = three * (hits - 3) / (n - 3)
    s0 = joins.size
    both_ways = (joins[joins] == np.arange(n)[:, None, None]).sum()
    s1 = s0 + int(both_ways)
    ends = NEIGHBOURS + np.bincount(joins.ravel(), minlength=n)
    s2 = int((ends**2).sum())
    mean = s0 * two
    square = s1 * two + (s2 - 2 * s1) * three + (s0 * s0 + s1 - s2) * four
    chance = (hits - 1) / (n - 1)
    found = count / (NEIGHBOURS * hits)
    deviation = math.sqrt(square - mean * mean)
    return (found - chance) / (1 - chance), (count - mean) / deviation


def _hot_spot(
    positions_um: Floats, positive: Bools
) -> tuple[tuple[float, float] | None, float]:
    """Return the centre and the share of the disc with the highest share.

    Discs are centred on the mean place of the positive cells of each square of a
    grid, a quarter of the radius wide, so the best of all is missed by little.
    """
    there = positions_um[positive]
    middle = (positions_um.min(0) + positions_um.max(0)) / 2
    squares = np.floor((there - middle) / (DISC_RADIUS_UM / 4)).astype(np.int64)
    _, square, cells = np.unique(
        squares, axis=0, return_inverse=True, return_counts=True
    )
    sums = [np.bincount(square, each) for each in there.T]
    centres_um = np.stack(sums, -1) / cells[:, None]
    n_all, n_positive = (
        cKDTree(each).query_ball_point(centres_um, DISC_RADIUS_UM, return_length=True)
        for each in (positions_um, there)
    )
    shares = np.where(n_all >= DISC_LEAST_CELLS, n_positive / n_all, -1.0)
    # of equal shares that of more cells
    best = np.lexsort((n_positive, shares))[-1]
    if shares[best] < 0:
        return None, math.nan
    y, x = centres_um[best].tolist()
    return (y, x), float(shares[best])
