"""Intervals: Wilson's for a proportion, the bootstrap over slides for the rest.

Regions of one slide resemble each other, so slides are drawn, never regions.
Every statistic here is a function of sums over slides (confusion counts, squared
errors, products); a draw is then a weighted sum, and 2,000 draws are one matrix
product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.proportion import Interval, wilson

__all__ = [
    "DRAWS",
    "Floats",
    "Interval",
    "bootstrap",
    "correlation_by_slide",
    "mean_by_slide",
    "ratio",
    "sums_by_slide",
    "wilson",
]

Floats = NDArray[np.float64]

DRAWS = 2000
"""Bootstrap draws of slides."""

_CELLS_AT_ONCE = 4_000_000


def sums_by_slide(values: NDArray[Any], slides: NDArray[Any]) -> Floats:
    """Sum per-region values (n, ...) over the regions of each slide, (s, ...)."""
    _, index = np.unique(slides, return_inverse=True)
    sums = np.zeros((int(index.max()) + 1 if len(index) else 0, *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums


def bootstrap(
    slide_sums: Floats,
    statistic: Callable[[Floats], Any],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    centred: bool = False,
) -> Interval:
    """Return a statistic of summed slides with its percentile interval.

    Parameters
    ----------
    slide_sums
        (s, ...), what every slide adds.
    statistic
        Takes sums (..., ) with any number of leading axes, returns one value for
        each; NaN where it is not defined.
    draws
        How often s slides are drawn with replacement.
    seed
        Of the draws. The same slides and seed give the same draws, so that two
        statistics of the same regions vary together.
    centred
        Move the interval by the mean of the draws minus the value: for a
        statistic that noise can only enlarge, such as a sum of absolute errors.

    Examples
    --------
    >>> hits_and_n = np.array([[1, 2], [2, 2], [0, 2], [2, 2]], float)
    >>> result = bootstrap(hits_and_n, lambda s: s[..., 0] / s[..., 1])
    >>> result.value, result.low, result.high
    (0.625, 0.25, 1.0)
    """
    value = float(np.asarray(statistic(slide_sums.sum(0))))
    n_slides = len(slide_sums)
    if n_slides < 2:
        return Interval(value, math.nan, math.nan)
    flat = slide_sums.reshape(n_slides, -1)
    rng = np.random.default_rng((seed, n_slides))
    counts = rng.multinomial(n_slides, np.full(n_slides, 1 / n_slides), draws)
    at_once = max(1, _CELLS_AT_ONCE // max(1, flat.shape[1]))
    drawn = np.concatenate(
        [
            np.asarray(
                statistic(
                    (counts[k : k + at_once] @ flat).reshape(-1, *slide_sums.shape[1:])
                )
            )
            for k in range(0, draws, at_once)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, math.nan, math.nan)
    low, high = np.percentile(drawn, [2.5, 97.5])
    bias = float(drawn.mean()) - value if centred else 0.0
    return Interval(value, float(low) - bias, float(high) - bias)


def ratio(sums: Floats) -> Floats:
    """Divide the first of the last axis by the second; NaN where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = sums[..., 0] / sums[..., 1]
    return np.where(np.isfinite(result), result, np.nan)


def mean_by_slide(
    values: NDArray[Any], slides: NDArray[Any], *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Return the mean over regions with its interval over slides; NaN are left out."""
    there = np.isfinite(values)
    if not there.any():
        return Interval(math.nan, math.nan, math.nan)
    pairs = np.stack([np.where(there, values, 0.0), there], -1).astype(float)
    return bootstrap(sums_by_slide(pairs, slides), ratio, seed=seed, draws=draws)


def correlation_by_slide(
    first: NDArray[Any], second: NDArray[Any], slides: NDArray[Any], *, seed: int = 0
) -> Interval:
    """Return Pearson's correlation over regions with its interval over slides."""
    if len(first) < 3:
        return Interval(math.nan, math.nan, math.nan)
    # centred, so that the sums of squares keep their digits
    a, b = first - first.mean(), second - second.mean()
    products = np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], -1)
    return bootstrap(sums_by_slide(products, slides), _correlation, seed=seed)


def _correlation(sums: Floats) -> Floats:
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((aa - a * a / n) * (bb - b * b / n))
        result: Floats = (ab - a * b / n) / spread
    return np.where(spread > 1e-12 * np.maximum(n, 1), result, np.nan)
