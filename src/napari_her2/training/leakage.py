"""How far a split of patches tests memory of slides, and a stricter one.

BCI names neither slide nor patient (spec of this project, after arXiv
2204.11425): patches of one slide very probably lie on both sides of its split.
From features of a frozen encoder, a *leakage index* tells how many test patches
look like a training patch, and *pseudo-slides* group patches that look alike,
to be kept together. Both are guesses about slides, not knowledge of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_her2.core.errors import UsageError

CAVEAT = (
    "The split was drawn from patches, not patients; slides are not named, so that "
    "patches of one slide very probably lie on both sides. The leakage index is the "
    "share of test patches whose nearest training patch (cosine) has the same label "
    "and a similarity above the 99th percentile of pairs with different labels. It "
    "depends on the encoder, and a low value proves nothing."
)
"""Stands beside every number that rests on the split."""

_CHUNK = 512
_PAIRS = 2_000_000
_MAX_LINKED = 6000

Features = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Leakage:
    """The leakage index and what it was computed from.

    Parameters
    ----------
    index
        Share of test patches, in [0, 1].
    similarity
        Cosine above which a neighbour counts.
    n_train, n_test
        Patches on either side.
    per_class
        The index by label.
    caveat
        What to print beside it.
    """

    index: float
    similarity: float
    n_train: int
    n_test: int
    per_class: dict[int, float]
    caveat: str = CAVEAT


def leakage_index(
    features: Features,
    labels: Labels,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    *,
    percentile: float = 99.0,
    seed: int = 0,
) -> Leakage:
    """Compare every test patch with its nearest training patch.

    Parameters
    ----------
    features
        (n, d) of a frozen encoder that has not seen the data set.
    labels
        (n,).
    train, test
        Indices of the two sides.
    percentile
        Of the similarity between patches of different labels.
    seed
        Of the pairs drawn where there are more than two million.

    Raises
    ------
    UsageError
        If a side is empty, or all patches have one label.
    """
    if not len(train) or not len(test):
        raise UsageError(
            "A leakage index needs patches on both sides.", "Choose another split."
        )
    unit = _unit(features)
    limit = float(
        np.percentile(_between_labels(unit, labels, train, test, seed), percentile)
    )
    leaks = np.zeros(len(test), bool)
    for start in range(0, len(test), _CHUNK):
        chunk = test[start : start + _CHUNK]
        similarity = unit[chunk] @ unit[train].T
        nearest = similarity.argmax(1)
        same = labels[train[nearest]] == labels[chunk]
        leaks[start : start + _CHUNK] = same & (similarity.max(1) > limit)
    return Leakage(
        float(leaks.mean()),
        limit,
        len(train),
        len(test),
        {
            int(label): float(leaks[labels[test] == label].mean())
            for label in np.unique(labels[test])
        },
    )


def pseudo_slides(
    features: Features,
    labels: Labels,
    *,
    n_neighbours: int = 5,
    percentile: float = 99.0,
    max_group_share: float = 0.2,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Group patches that look as if they were cut from one slide.

    Within each label, patches are joined to their nearest neighbours where the
    similarity exceeds that of all but a percentile of the pairs with different
    labels, and connected patches are a group. A group that holds more than
    ``max_group_share`` of all patches is cut by average linkage, since a few
    joined borders would otherwise make one group of everything.

    Parameters
    ----------
    features, labels
        As for :func:`leakage_index`.
    n_neighbours
        Edges drawn from each patch.
    percentile
        Of the similarity between labels, below which nothing is joined.
    max_group_share
        Largest share of all patches in one group.
    seed
        As for :func:`leakage_index`.

    Returns
    -------
    numpy.ndarray
        (n,) group numbers from 0. A group holds one label only.
    """
    unit = _unit(features)
    everything = np.arange(len(unit))
    limit = float(
        np.percentile(
            _between_labels(unit, labels, everything, everything, seed), percentile
        )
    )
    groups = np.zeros(len(unit), np.int64)
    largest = max(2, int(max_group_share * len(unit)))
    count = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        component = _components(unit[members], n_neighbours, limit)
        for part in range(component.max() + 1):
            inside = members[component == part]
            for piece in _cut(unit[inside], largest):
                groups[inside[piece]] = count
                count += 1
    return groups


def _unit(features: Features) -> NDArray[np.float32]:
    array = np.asarray(features, np.float32)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise UsageError(
            f"Features of shape {array.shape} are not finite numbers (n, d).",
            "Compute them again.",
        )
    length = np.linalg.norm(array, axis=1, keepdims=True)
    unit: NDArray[np.float32] = array / np.maximum(length, np.finfo(np.float32).tiny)
    return unit


def _between_labels(
    unit: NDArray[np.float32],
    labels: Labels,
    one: NDArray[np.intp],
    other: NDArray[np.intp],
    seed: int,
) -> NDArray[np.float32]:
    """Return similarities of pairs whose labels differ."""
    if len(np.unique(labels[np.union1d(one, other)])) < 2:
        raise UsageError(
            "All patches have the same label; similarity between labels is not "
            "defined.",
            "Give a data set with at least two classes.",
        )
    if len(one) * len(other) <= _PAIRS:
        a, b = (index.ravel() for index in np.meshgrid(one, other, indexing="ij"))
    else:
        rng = np.random.default_rng(seed)
        a, b = rng.choice(one, _PAIRS), rng.choice(other, _PAIRS)
    differs = labels[a] != labels[b]
    a, b = a[differs], b[differs]
    parts = [
        np.einsum("ij,ij->i", unit[a[s : s + 65536]], unit[b[s : s + 65536]])
        for s in range(0, len(a), 65536)
    ]
    return np.concatenate(parts)


def _components(
    unit: NDArray[np.float32], n_neighbours: int, limit: float
) -> NDArray[np.int32]:
    n = len(unit)
    count = min(n_neighbours, n - 1)
    rows, columns = [], []
    for start in range(0, n, _CHUNK):
        similarity = unit[start : start + _CHUNK] @ unit.T
        own = np.arange(len(similarity))
        similarity[own, start + own] = -np.inf
        if count:
            near = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
            close = np.take_along_axis(similarity, near, 1) > limit
            rows.append((start + own)[:, None].repeat(count, 1)[close])
            columns.append(near[close])
    none = np.empty(0, np.intp)
    i, j = np.concatenate([none, *rows]), np.concatenate([none, *columns])
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(n, n))
    component: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return component


def _cut(unit: NDArray[np.float32], largest: int) -> list[NDArray[np.intp]]:
    """Return the parts of a group, each of at most ``largest`` members."""
    n = len(unit)
    if n <= largest:
        return [np.arange(n)]
    if n > _MAX_LINKED:  # the tree takes n² memory: halve along the widest axis
        centred = unit - unit.mean(0)
        axis = np.linalg.svd(centred[:: n // 1000], full_matrices=False)[2][0]
        order = np.argsort(centred @ axis, kind="stable")
        halves = order[: n // 2], order[n // 2 :]
        return [half[piece] for half in halves for piece in _cut(unit[half], largest)]
    tree = linkage(unit, "average", "cosine")
    parts, stack = [], [2 * n - 2]
    while stack:
        node = stack.pop()
        members = _leaves(tree, node, n)
        if len(members) <= largest:
            parts.append(members)
        else:
            stack += [int(tree[node - n, 0]), int(tree[node - n, 1])]
    return parts


def _leaves(tree: NDArray[np.float64], node: int, n: int) -> NDArray[np.intp]:
    """Return the members under a node of a linkage of ``n``."""
    found, stack = [], [node]
    while stack:
        current = stack.pop()
        if current < n:
            found.append(current)
        else:
            stack += [int(tree[current - n, 0]), int(tree[current - n, 1])]
    return np.sort(np.array(found, np.intp))
