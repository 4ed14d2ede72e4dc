"""Which tiles to learn from, to watch and to test on, never sharing a group.

A group is a patient or slide where one is known, or a pseudo-slide
(``training.leakage``). Groups are dealt so that every part gets its share of
each class as nearly as whole groups allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError

Groups = NDArray[np.integer[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of tiles; no group is in two parts of a grouped split.

    ``is_grouped`` is False for a published split of patches.
    """

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    is_grouped: bool = True


def grouped_folds(
    labels: Labels, groups: Groups, n_folds: int, *, seed: int
) -> list[NDArray[np.intp]]:
    """Return the tiles of each fold, whole groups at a time.

    Groups are dealt from the largest to the smallest, each to the fold that
    then deviates least from an equal share of every class; ties are broken at
    random.

    Parameters
    ----------
    labels, groups
        (n,) class and group of each tile.
    n_folds
        Number of folds, at least 2.
    seed
        Of the ties.

    Raises
    ------
    UsageError
        If there are fewer groups than folds.
    """
    return _dealt(labels, groups, np.full(n_folds, 1 / n_folds), seed)


def grouped_split(
    labels: Labels,
    groups: Groups,
    *,
    validation_share: float,
    test_share: float,
    seed: int,
) -> Split:
    """Return parts of about the shares asked for, whole groups at a time.

    Raises
    ------
    UsageError
        If there are fewer groups than parts, or the shares leave nothing to
        learn from.
    """
    train_share = 1 - validation_share - test_share
    if min(validation_share, test_share) < 0 or train_share <= 0:
        raise UsageError(
            f"Shares of {validation_share} to validate and {test_share} to test "
            "leave nothing to learn from.",
            "Choose shares that add up to less than 1.",
        )
    wanted = np.array([train_share, validation_share, test_share])
    dealt = iter(_dealt(labels, groups, wanted[wanted > 0], seed))
    none = np.empty(0, np.intp)
    train, validation, test = (next(dealt) if w > 0 else none for w in wanted)
    return Split(train, validation, test)


def published_split(
    splits: Sequence[str] | NDArray[np.str_],
    labels: Labels,
    groups: Groups,
    *,
    validation_share: float,
    seed: int,
) -> Split:
    """Return a published test set, and a grouped validation part of the rest.

    Raises
    ------
    UsageError
        If one of the published parts is empty.
    """
    test = np.flatnonzero(np.asarray(splits) == "test")
    rest = np.flatnonzero(np.asarray(splits) == "train")
    if not len(test) or not len(rest):
        raise UsageError(
            f"The published split has {len(rest)} pairs to train and {len(test)} to "
            "test.",
            "Choose the split by groups instead.",
        )
    inner = grouped_split(
        labels[rest],
        groups[rest],
        validation_share=validation_share,
        test_share=0.0,
        seed=seed,
    )
    shared = np.intersect1d(groups[test], groups[rest]).size > 0
    return Split(rest[inner.train], rest[inner.validation], test, not shared)


def _dealt(
    labels: Labels, groups: Groups, shares: NDArray[np.float64], seed: int
) -> list[NDArray[np.intp]]:
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < len(shares):
        raise UsageError(
            f"{len(names)} slides or groups cannot be dealt to {len(shares)} parts.",
            "Give more slides, or fewer parts.",
        )
    classes, label = np.unique(labels, return_inverse=True)
    content = np.zeros((len(names), len(classes)))
    np.add.at(content, (group, label), 1)
    total = np.maximum(content.sum(0), 1)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(names)), -content.sum(1)))
    part_of = np.zeros(len(names), np.intp)
    held = np.zeros((len(shares), len(classes)))
    for rank, number in enumerate(order):
        left = len(names) - rank
        is_empty = held.sum(1) == 0
        # every part gets a group: the last ones go to parts that have none
        allowed = is_empty if left <= is_empty.sum() else np.ones(len(shares), bool)
        after = (held + content[number]) / total / shares[:, None]
        before = held / total / shares[:, None]
        cost = ((after**2 - before**2) * shares[:, None]).sum(1)
        cost[~allowed] = np.inf
        best = np.flatnonzero(np.isclose(cost, cost.min()))
        part = int(rng.choice(best))
        part_of[number] = part
        held[part] += content[number]
    return [np.flatnonzero(part_of[group] == part) for part in range(len(shares))]
