"""How good calls are: accuracy, F1, kappa, cut-offs, each from a confusion matrix.

A confusion matrix has truths as rows and calls as columns. The functions of
matrices take any number of leading axes, so that the bootstrap of
:mod:`napari_her2.evaluation.intervals` evaluates all draws at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.evaluation.intervals import (
    Floats,
    Interval,
    bootstrap,
    sums_by_slide,
    wilson,
)


def confusions_by_slide(
    truth: NDArray[Any], calls: NDArray[Any], slides: NDArray[Any], n_classes: int
) -> Floats:
    """Return one confusion matrix per slide, (s, k, k)."""
    each = np.zeros((len(truth), n_classes, n_classes))
    each[np.arange(len(truth)), truth, calls] = 1
    return sums_by_slide(each, slides)


def accuracy(confusion: Floats) -> Floats:
    """Return the share of right calls.

    Examples
    --------
    >>> float(accuracy(np.array([[3.0, 1], [0, 4]])))
    0.875
    """
    return _divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1)))


def macro_f1(confusion: Floats) -> Floats:
    """Return F1 averaged over the classes that occur in the truth.

    The majority class of the BCI test set (38, 235, 446, 258) gives .1567.
    """
    truth, calls = confusion.sum(-1), confusion.sum(-2)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = 2 * hits / np.maximum(truth + calls, 1e-12)
    occurs = truth > 0
    return _divide((f1 * occurs).sum(-1), occurs.sum(-1))


def majority_accuracy(confusion: Floats) -> Floats:
    """Return the accuracy of always saying the most frequent truth."""
    return _divide(confusion.sum(-1).max(-1), confusion.sum((-2, -1)))


def chance_accuracy(confusion: Floats) -> Floats:
    """Return the accuracy of calls that know nothing, in the shares they have.

    The sum over classes of the share of truths times the share of calls: what
    Cohen's kappa subtracts.
    """
    n = confusion.sum((-2, -1))
    expected = (confusion.sum(-1) * confusion.sum(-2)).sum(-1)
    return _divide(expected, n * n)


def above_chance(confusion: Floats) -> Floats:
    """Return accuracy minus :func:`chance_accuracy`; 0 is calls that know nothing."""
    return accuracy(confusion) - chance_accuracy(confusion)


def balanced_accuracy(confusion: Floats) -> Floats:
    """Return the mean recall over the classes that occur in the truth."""
    truth = confusion.sum(-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    occurs = truth > 0
    return _divide((hits / np.maximum(truth, 1e-12)).sum(-1), occurs.sum(-1))


def weighted_kappa(confusion: Floats, *, power: int = 2) -> Floats:
    """Return Cohen's kappa, the classes being ordered; NaN for a single class.

    Parameters
    ----------
    confusion
        (..., k, k).
    power
        2: quadratic weights, 1: linear.

    Notes
    -----
    Source: Cohen, Psychol Bull 1968;70:213.

    Examples
    --------
    >>> float(weighted_kappa(np.diag([2.0, 3, 4])))
    1.0
    """
    k = confusion.shape[-1]
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) ** power
    n = confusion.sum((-2, -1))
    seen = (confusion * apart).sum((-2, -1)) * n
    by_chance = np.einsum(
        "...i,...j,ij->...", confusion.sum(-1), confusion.sum(-2), apart.astype(float)
    )
    return 1 - _divide(seen, by_chance)


def per_class(confusion: Floats, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class with Wilson intervals.

    F1 = 2 J / (1 + J) with J = TP / (TP + FP + FN), a proportion: its interval
    is Wilson's for J, mapped. The intervals treat regions as independent.
    """
    rows = []
    for index, name in enumerate(classes):
        hit = int(confusion[index, index])
        truths = int(confusion[index].sum())
        calls = int(confusion[:, index].sum())
        overlap = wilson(hit, truths + calls - hit)
        f1 = Interval(
            *(2 * j / (1 + j) for j in (overlap.value, overlap.low, overlap.high))
        )
        rows.append(
            {
                "class": name,
                "n_true": truths,
                "n_called": calls,
                "precision": wilson(hit, calls).to_json(),
                "recall": wilson(hit, truths).to_json(),
                "f1": f1.to_json(),
            }
        )
    return rows


def cut_offs(strata: Floats, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return positive, negative and overall agreement at every cut-off.

    ``strata`` (k, k) is the confusion of ordered strata; at the cut-off a|b a
    call of b or more is positive.
    """
    rows = []
    for cut in range(1, len(names)):
        both = int(strata[cut:, cut:].sum())
        neither = int(strata[:cut, :cut].sum())
        rows.append(
            {
                "cut_off": f"{names[cut - 1]}|{names[cut]}",
                "positive_agreement": wilson(both, int(strata[cut:].sum())).to_json(),
                "negative_agreement": wilson(
                    neither, int(strata[:cut].sum())
                ).to_json(),
                "overall_agreement": wilson(
                    both + neither, int(strata.sum())
                ).to_json(),
            }
        )
    return rows


def with_intervals(by_slide: Floats, *, seed: int) -> dict[str, list[float | None]]:
    """Return the headline metrics of matrices (s, k, k) with their intervals."""
    return {
        name: bootstrap(by_slide, metric, seed=seed).to_json()
        for name, metric in (
            ("accuracy", accuracy),
            ("macro_f1", macro_f1),
            ("balanced_accuracy", balanced_accuracy),
        )
    }


def _divide(above: Any, below: Any) -> Floats:
    above, below = np.broadcast_arrays(above, below)
    result = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result
