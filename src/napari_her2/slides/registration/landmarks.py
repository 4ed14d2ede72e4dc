"""Fit and judge a registration by pairs of places that a reader marked.

A fit goes through its own landmarks more closely than through anything else, so
its error is told by leaving out one pair at a time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import Affine
from napari_her2.core.registration import Registration, RegistrationError
from napari_her2.core.transform import Transform

LEAST_PAIRS: Final = 3
_FOR_AFFINE: Final = 6
"""With fewer pairs only turn, size and shift are fitted: three would fit anything."""


def landmark_distances_um(
    transform: Transform, he_um: ArrayLike, ihc_um: ArrayLike
) -> NDArray[np.float64]:
    """Return (n,), how far each pair lies apart on the IHC section.

    Parameters
    ----------
    he_um, ihc_um
        (n, 2) as (y, x) µm on the two sections.
    """
    apart = transform.apply(he_um) - np.asarray(ihc_um, dtype=float)
    distances: NDArray[np.float64] = np.linalg.norm(apart, axis=-1)
    return distances


def fit_landmarks(he_um: ArrayLike, ihc_um: ArrayLike) -> Registration:
    """Fit a registration to landmarks: a similarity, or from six pairs an affine map.

    Parameters
    ----------
    he_um, ihc_um
        (n, 2) as (y, x) µm on the two sections, n >= 3.

    Raises
    ------
    UsageError
        If there are fewer than three pairs, or they lie on one line.
    """
    source, target = (np.asarray(points, dtype=float) for points in (he_um, ihc_um))
    if len(source) < LEAST_PAIRS or len(source) != len(target):
        raise UsageError(
            f"{min(len(source), len(target))} pairs of landmarks do not fix a "
            "registration.",
            f"Place at least {LEAST_PAIRS}, far from each other.",
        )
    affine = _fit(source, target)
    mirrored = bool(np.linalg.det(affine.matrix[:2, :2]) < 0)
    rest = [np.arange(len(source)) != one for one in range(len(source))]
    left_out = [
        np.linalg.norm(
            _fit(source[others], target[others], mirrored=mirrored).apply(source[one])
            - target[one]
        )
        for one, others in enumerate(rest)
    ]
    median_um, p90_um = np.quantile(left_out, [0.5, 0.9]).tolist()
    error = RegistrationError(median_um, p90_um, len(source), len(source))
    transform = Transform("he", "ihc", (affine,))
    return Registration(transform, error, f"{len(source)} landmarks")


def _fit(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    mirrored: bool | None = None,
) -> Affine:
    try:
        if len(source) >= _FOR_AFFINE:
            known = np.column_stack([source, np.ones(len(source))])
            return Affine.from_matrix(np.linalg.lstsq(known, target)[0].T)
        return _similarity(source, target, mirrored)
    except ValueError as error:
        raise UsageError(
            "The landmarks lie on one line or on one spot.",
            "Spread them over the section.",
        ) from error


def _similarity(
    source: NDArray[np.float64], target: NDArray[np.float64], mirrored: bool | None
) -> Affine:
    """Return turn, mirror, size and shift of least squares (Umeyama, PAMI 1991).

    Without ``mirrored`` the better of both is taken.
    """
    from_middle, to_middle = source - source.mean(0), target - target.mean(0)
    spread = float((from_middle**2).sum())
    if spread == 0:
        raise ValueError("one spot")
    u, strengths, vt = np.linalg.svd(to_middle.T @ from_middle)
    signs = np.ones(2)
    if mirrored is not None and (np.linalg.det(u @ vt) < 0) != mirrored:
        signs[1] = -1
    linear = u @ np.diag(signs) @ vt * float(strengths @ signs) / spread
    shift = target.mean(0) - linear @ source.mean(0)
    return Affine.from_matrix(np.column_stack([linear, shift]))
