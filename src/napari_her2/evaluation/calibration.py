"""Whether probabilities mean what they say, and prediction sets hold the truth.

Everything is computed from a matrix of probabilities (n, k) and truths (n,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.evaluation.intervals import (
    Floats,
    bootstrap,
    mean_by_slide,
    sums_by_slide,
    wilson,
)

BINS = 10
"""Equally wide bins of probability."""


def brier(probabilities: Floats, truth: NDArray[Any]) -> Floats:
    """Return the squared distance of each row to its truth, in [0, 2].

    Source: Brier, Mon Weather Rev 1950;78:1.

    Examples
    --------
    >>> brier(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])).tolist()
    [0.5, 2.0]
    """
    result: Floats = ((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(
        1
    )
    return result


def ranked_probability_score(probabilities: Floats, truth: NDArray[Any]) -> Floats:
    """Return the ordinal score of each row, in [0, 1]: far errors cost more.

    The mean squared difference of the cumulative distributions over the k - 1
    cut-offs. Source: Epstein, J Appl Meteorol 1969;8:985.

    Examples
    --------
    >>> far, near = [[1.0, 0, 0]], [[0, 1.0, 0]]
    >>> ranked_probability_score(np.array(far + near), np.array([2, 2])).tolist()
    [1.0, 0.5]
    """
    k = probabilities.shape[1]
    said = probabilities.cumsum(1)[:, :-1]
    true = np.eye(k)[truth].cumsum(1)[:, :-1]
    result: Floats = ((said - true) ** 2).sum(1) / (k - 1)
    return result


def reliability(
    probabilities: Floats, truth: NDArray[Any], *, bins: int = BINS
) -> list[dict[str, Any]]:
    """Return what came true of the highest probability, bin by bin.

    Each bin has its edges, its number of rows, the mean probability and the
    share of right calls with Wilson's interval; empty bins are left out.
    """
    top = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    index = _bins(top, bins)
    rows = []
    for number in range(bins):
        mine = index == number
        if mine.any():
            rows.append(
                {
                    "from": number / bins,
                    "to": (number + 1) / bins,
                    "n": int(mine.sum()),
                    "mean_probability": round(float(top[mine].mean()), 5),
                    "right": wilson(int(right[mine].sum()), int(mine.sum())).to_json(),
                }
            )
    return rows


def classwise_error(
    probabilities: Floats,
    truth: NDArray[Any],
    slides: NDArray[Any],
    *,
    bins: int = BINS,
    seed: int = 0,
) -> list[float | None]:
    """Return the classwise expected calibration error with its interval.

    Mean over classes of the sum over bins of |share true - mean probability|
    weighted by the bin's share of rows. Source: Kull and others, NeurIPS 2019.
    """
    n, k = probabilities.shape
    each = np.zeros((n, k, bins, 2))
    index = _bins(probabilities, bins)
    rows, columns = np.meshgrid(np.arange(n), np.arange(k), indexing="ij")
    each[rows, columns, index, 0] = probabilities - np.eye(k)[truth]
    each[:, 0, 0, 1] = 1
    sums = sums_by_slide(each.reshape(n, -1), slides)

    def error(summed: Floats) -> Floats:
        shaped = summed.reshape(*summed.shape[:-1], k, bins, 2)
        total = np.abs(shaped[..., 0]).sum((-2, -1))
        mean: Floats = total / (k * shaped[..., 0, 0, 1])
        return mean

    return bootstrap(sums, error, seed=seed, centred=True).to_json()


def calibration_scores(
    probabilities: Floats, truth: NDArray[Any], slides: NDArray[Any], *, seed: int = 0
) -> dict[str, Any]:
    """Return classwise ECE, Brier, ordinal RPS and the reliability bins."""
    return {
        "n_regions": len(truth),
        "classwise_ece": classwise_error(probabilities, truth, slides, seed=seed),
        "brier": mean_by_slide(
            brier(probabilities, truth), slides, seed=seed
        ).to_json(),
        "ordinal_rps": mean_by_slide(
            ranked_probability_score(probabilities, truth), slides, seed=seed
        ).to_json(),
        "mean_confidence": round(float(probabilities.max(1).mean()), 5),
        "reliability": reliability(probabilities, truth),
    }


def coverage(
    held: NDArray[np.bool_],
    truth: NDArray[Any],
    slides: NDArray[Any],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how often prediction sets hold the truth, also per class.

    ``held`` (n, k) says which classes are in the set of each row.
    """
    hit = held[np.arange(len(truth)), truth]
    size = held.sum(1)
    return {
        "n_regions": len(truth),
        "coverage": mean_by_slide(hit.astype(float), slides, seed=seed).to_json(),
        "mean_size": round(float(size.mean()), 4),
        "share_of_single_sets": round(float((size == 1).mean()), 4),
        "share_of_empty_sets": round(float((size == 0).mean()), 4),
        "per_class": {
            name: {
                "n_regions": int((truth == k).sum()),
                "coverage": wilson(
                    int(hit[truth == k].sum()), int((truth == k).sum())
                ).to_json(),
                "mean_size": round(float(size[truth == k].mean()), 4),
            }
            for k, name in enumerate(classes)
            if (truth == k).any()
        },
    }


def _bins(probabilities: Floats, bins: int) -> NDArray[np.intp]:
    return np.minimum((probabilities * bins).astype(np.intp), bins - 1)
