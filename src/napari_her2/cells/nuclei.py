"""Nuclei: the blobs of haematoxylin that look most like one nucleus each.

An image is cut at many levels of dye. The connected parts of all levels are nested
and form a tree (as in Matas et al., BMVC 2002, and Arteta et al., MICCAI 2012); the
nuclei are those parts, none inside another, that together fill the most area with
the best shape: as elliptic as a nucleus, of its size, with a sharp edge. No level
has to be chosen, so pale and dark nuclei are found beside each other, and nothing
was trained. Fine and coarse smoothing give a tree each; where they disagree the
better part stays. What touches so closely that no level parts it is left to
:mod:`napari_her2.cells.clumps` and :mod:`napari_her2.cells.waists`; where a rim lies
is said by :mod:`napari_her2.cells.rims`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_her2.cells.clumps import blobs_of, split_clumps
from napari_her2.cells.rims import draw_rims
from napari_her2.cells.shape import (
    LEAST_QUALITY,
    USUAL_EDGE_OD_PER_UM,
    Parts,
    measure_parts,
    nuclear_quality,
)
from napari_her2.cells.waists import split_at_waists

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Labels = NDArray[np.int32]

N_LEVELS: Final = 18
SMOOTH_UM: Final = (0.4, 0.9)
SURROUND: Final = 0.5
SURROUND_UM: Final = 4.5
"""Half of the mean around is taken off, so that valleys between nuclei
stand out in dense tissue."""

MOST_HOLE_UM2: Final = 60.0
"""A smaller hole in a nucleus is pale chromatin."""

SECOND_IN_NUCLEI: Final = 0.7
"""How much eosin or DAB lowers what is taken for haematoxylin when nuclei are sought:
both stand around nuclei, so that pale ones come out of the cytoplasm."""

EDGE_PER_UM: Final = 0.23
"""Of the darkest dye: in a pale slide rims are dull as well."""

LEAST_DYE_OD: Final = 0.03
"""Gaps reach .025, the palest nuclei of real slides .05."""

_LOWEST: Final = 0.01
_LEAST_RANGE: Final = 0.1
_EDGE_UM: Final = 0.5
_OVERLAP: Final = 0.1


@dataclass(frozen=True, slots=True)
class NucleusScale:
    """How strong the nuclei of a slide are, so that every tile is cut alike.

    ``levels`` are the densities of haematoxylin above its surroundings that are
    tried; ``blob`` is the response of a usual nucleus to a blob filter;
    ``edge_od_per_um`` is the slope of a rim that is neither sharp nor dull.
    """

    levels: tuple[float, ...]
    blob: float = 0.0
    edge_od_per_um: float = USUAL_EDGE_OD_PER_UM


def nuclear_dye(haematoxylin: Floats, second: Floats) -> Floats:
    """Return where to seek nuclei (h, w): haematoxylin, less of eosin or DAB."""
    blue = haematoxylin - SECOND_IN_NUCLEI * np.maximum(second, 0)
    return np.asarray(blue, np.float32)


def measure_scale(blocks: Sequence[Floats], mpp: float) -> NucleusScale:
    """Learn the scale of a slide from maps of haematoxylin of some of its places."""
    seen = np.concatenate(
        [_signal(block, SMOOTH_UM[0], mpp)[::4, ::4].ravel() for block in blocks]
    )
    low = max(_LOWEST, float(np.quantile(seen, 0.2)))
    high = max(low + _LEAST_RANGE, float(np.quantile(seen, 0.995)))
    levels = low + (high - low) * np.linspace(0, 1, N_LEVELS + 1)[:-1] ** 1.3
    edge = min(USUAL_EDGE_OD_PER_UM, EDGE_PER_UM * high)
    scale = NucleusScale(tuple(levels.round(4).tolist()), edge_od_per_um=round(edge, 5))
    strength = np.concatenate([_strengths(block, mpp, scale) for block in blocks])
    usual = float(np.median(strength)) if strength.size else 0.0
    return replace(scale, blob=round(usual, 5))


def find_nuclei(haematoxylin: Floats, mpp: float, scale: NucleusScale) -> Labels:
    """Label the nuclei in a map of haematoxylin.

    Parameters
    ----------
    haematoxylin
        Amount of dye (h, w), optical density.
    mpp
        Pixel size in µm, near 0.5.
    scale
        Of the slide.

    Returns
    -------
    labels
        (h, w), 0 outside of nuclei, nuclei numbered from 1 without gaps.
    """
    labels = _single_nuclei(haematoxylin, mpp, scale)
    signal = _signal(haematoxylin, SMOOTH_UM[-1], mpp)
    labels = split_clumps(haematoxylin, signal, labels, mpp, scale.blob)
    return draw_rims(split_at_waists(labels, mpp), haematoxylin, mpp)


def without_gaps(labels: Labels, haematoxylin: Floats) -> Labels:
    """Leave out what holds no haematoxylin: a gap in brown tissue, brighter than it.

    Both are (h, w); the dye as it is, with nothing taken off.
    """
    index = np.arange(1, labels.max() + 1)
    dye = np.append(0.0, ndimage.mean(haematoxylin, labels, index))
    return _numbered(dye >= LEAST_DYE_OD, 1)[labels]


def _strengths(haematoxylin: Floats, mpp: float, scale: NucleusScale) -> Floats:
    """Return the blob response of every nucleus that was easy to find."""
    labels = _single_nuclei(haematoxylin, mpp, scale)
    index = np.arange(1, labels.max() + 1)
    found = ndimage.maximum(blobs_of(haematoxylin, mpp), labels, index)
    return np.asarray(found, np.float32)


def _signal(haematoxylin: Floats, smooth_um: float, mpp: float) -> Floats:
    smooth = ndimage.gaussian_filter(haematoxylin, smooth_um / mpp)
    around = ndimage.gaussian_filter(haematoxylin, SURROUND_UM / mpp)
    return np.asarray(smooth - SURROUND * around, np.float32)


def _single_nuclei(haematoxylin: Floats, mpp: float, scale: NucleusScale) -> Labels:
    edge = ndimage.gaussian_gradient_magnitude(haematoxylin, _EDGE_UM / mpp) / mpp
    found = _Found(np.zeros(haematoxylin.shape, np.int32), np.zeros(1))
    for smooth_um in SMOOTH_UM:
        signal = _signal(haematoxylin, smooth_um, mpp)
        tree: list[_Level] = []
        for cut in scale.levels:
            tree.append(
                _cut(signal > cut, edge, mpp, scale, tree[-1] if tree else None)
            )
        found = _better(found, _paint(tree, _choose(tree), signal.shape))
    return found.labels


@dataclass(frozen=True, slots=True)
class _Level:
    """The parts of one level; their worth is area times quality, 0 for no nucleus."""

    labels: Labels
    worth: NDArray[np.float64]
    parent: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Found:
    labels: Labels
    worth: NDArray[np.float64]


def _cut(
    mask: Bools, edge: Floats, mpp: float, scale: NucleusScale, below: _Level | None
) -> _Level:
    """Find and measure the connected parts of one level."""
    holes, _ = ndimage.label(~mask)
    is_small = np.bincount(holes.ravel()) <= MOST_HOLE_UM2 / mpp**2
    is_small[0] = False
    labels, n = ndimage.label(mask | is_small[holes])
    parts: Parts = measure_parts(labels, n, mpp, edge)
    quality = nuclear_quality(parts, scale.edge_od_per_um)
    worth = np.where(quality >= LEAST_QUALITY, quality * parts.area_um2, 0.0)
    parent = np.zeros(n + 1, np.int64)
    if below is not None:
        inside = np.flatnonzero(labels)[::-1]
        parent[labels.ravel()[inside]] = below.labels.ravel()[inside]
    return _Level(labels, worth, parent)


def _choose(tree: list[_Level]) -> list[Bools]:
    """Choose parts, none inside another, of the greatest worth in sum."""
    best = [level.worth.copy() for level in tree]
    is_best = [np.ones(len(level.worth), bool) for level in tree]
    for k in range(len(tree) - 2, -1, -1):
        inner = np.bincount(tree[k + 1].parent, best[k + 1], len(best[k]))
        is_best[k] = tree[k].worth >= inner
        best[k] = np.maximum(best[k], inner)
    chosen: list[Bools] = []
    covered = np.zeros(1, bool)
    for level, own in zip(tree, is_best, strict=True):
        above = covered[level.parent]
        mine = own & ~above & (level.worth > 0)
        chosen.append(mine)
        covered = above | mine
    return chosen


def _paint(tree: list[_Level], chosen: list[Bools], shape: tuple[int, ...]) -> _Found:
    """Draw the chosen parts, numbered from 1."""
    labels = np.zeros(shape, np.int32)
    worth = [np.zeros(1)]
    first = 1
    for level, mine in zip(tree, chosen, strict=True):
        number = _numbered(mine, first)
        first += int(mine.sum())
        worth.append(level.worth[mine])
        painted = number[level.labels]
        labels = np.where(painted > 0, painted, labels)
    return _Found(labels, np.concatenate(worth))


def _numbered(kept: Bools, first: int) -> Labels:
    """Return new numbers for what is kept, 0 for the rest."""
    number = np.zeros(len(kept), np.int32)
    number[kept] = np.arange(first, first + int(kept.sum()))
    return number


def _better(one: _Found, other: _Found) -> _Found:
    """Keep, of parts that overlap, those of greater worth."""
    both = (one.labels > 0) & (other.labels > 0)
    n_other = len(other.worth)
    key = one.labels[both].astype(np.int64) * n_other + other.labels[both]
    pairs, shared_px = np.unique(key, return_counts=True)
    first, second = np.divmod(pairs, n_other)
    size = np.bincount(one.labels.ravel(), minlength=len(one.worth))[first]
    other_size = np.bincount(other.labels.ravel(), minlength=n_other)[second]
    meets = shared_px > _OVERLAP * np.minimum(size, other_size)
    first, second = first[meets], second[meets]
    rivals = np.bincount(second, one.worth[first], n_other)
    wins = other.worth > rivals
    wins[0] = False
    stays = np.ones(len(one.worth), bool)
    stays[0] = False
    stays[first[wins[second]]] = False
    number, fresh = _numbered(stays, 1), _numbered(wins, int(stays.sum()) + 1)
    kept = number[one.labels]
    labels = np.where(kept > 0, kept, fresh[other.labels])
    worth = np.concatenate([[0.0], one.worth[stays], other.worth[wins]])
    return _Found(labels, worth)
