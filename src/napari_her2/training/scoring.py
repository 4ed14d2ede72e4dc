"""Accuracy and F1 of calls, for a bundle's card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.training.tiles import CLASSES


def confusion_scores(
    confusion: NDArray[np.int64], classes: Sequence[str] = CLASSES
) -> dict[str, Any]:
    """Return accuracy, macro-F1 and the majority baseline of a confusion matrix.

    Rows are truth, columns are calls, named by ``classes``. Macro-F1 averages over
    the classes that occur in the truth.

    Examples
    --------
    >>> scores = confusion_scores(np.array([[3, 1], [0, 4]]))
    >>> scores["accuracy"], scores["majority_baseline"]
    (0.875, 0.5)
    """
    hits, truth, calls = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    f1 = 2 * hits / np.maximum(truth + calls, 1)
    n = int(confusion.sum())
    return {
        "n_tiles": n,
        "accuracy": round(float(hits.sum() / n), 4),
        "macro_f1": round(float(f1[truth > 0].mean()), 4),
        "majority_baseline": round(float(truth.max() / n), 4),
        "f1_per_class": {
            name: round(float(value), 4)
            for name, value, count in zip(classes, f1, truth, strict=False)
            if count
        },
        "confusion_rows_truth": confusion.tolist(),
    }


def confusion_of(
    truth: NDArray[np.integer[Any]],
    calls: NDArray[np.integer[Any]],
    n_classes: int = len(CLASSES),
) -> NDArray[np.int64]:
    """Count calls, rows are truth."""
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (truth, calls), 1)
    return confusion
