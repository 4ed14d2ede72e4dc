"""Fit a map to matches: an affine one, or a B-spline that bends as little as it can.

Penalised least squares (bending energy of a thin plate on the knots), with the
weights of matches that disagree with the rest going down (Geman-McClure).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from napari_her2.core.geometry import Affine
from napari_her2.core.transform import Warp, spline_weights
from napari_her2.slides.registration.matching import Matches

_STIFFNESS: Final = 0.1
_ROUNDS: Final = 6
_LEAST_SCATTER: Final = 0.3
"""In pixels: no match is known better than that."""
_MOST_WEIGHT: Final = 0.3


def fit_affine(matches: Matches, *, um_per_px: float) -> Affine | None:
    """Fit an affine map of a section to the shifts of matches.

    Returns
    -------
    Affine or None
        None where the matches do not fix one.
    """
    places = np.column_stack([matches.centres_um, np.ones(len(matches))])
    prior = np.clip(matches.distinct, 0, _MOST_WEIGHT)
    weights = prior.copy()
    rows = np.zeros((3, 2))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        rows = np.linalg.lstsq(places * root, matches.shifts_um * root)[0]
        weights = prior * _agreement(matches.shifts_um - places @ rows, um_per_px)
    try:
        return Affine.from_matrix(rows.T + np.eye(2, 3))
    except ValueError:
        return None


def fit_warp(
    matches: Matches,
    size_um: NDArray[np.float64],
    *,
    spacing_um: float,
    um_per_px: float,
) -> Warp | None:
    """Fit a warp of a section to the shifts of matches.

    Returns
    -------
    Warp or None
        None where the fit would fold the section.
    """
    rows, columns = (int(np.ceil(side / spacing_um)) + 3 for side in size_um)
    basis = _basis(matches.centres_um / spacing_um, rows, columns)
    bending = _bending(rows, columns)
    prior = np.clip(matches.distinct, 0, _MOST_WEIGHT)
    weights = prior.copy()
    shifts_px = matches.shifts_um / um_per_px
    knots = np.zeros((rows * columns, 2))
    for _ in range(_ROUNDS):
        normal = basis.T @ sparse.diags_array(weights) @ basis + _STIFFNESS * bending
        normal = normal.tocsc()
        knots = np.column_stack(
            [spsolve(normal, basis.T @ (weights * shifts_px[:, k])) for k in (0, 1)]
        )
        weights = prior * _agreement(shifts_px - basis @ knots, 1.0)
    try:
        return Warp((0.0, 0.0), spacing_um, knots.reshape(rows, columns, 2) * um_per_px)
    except ValueError:
        return None


def _agreement(rest: NDArray[np.float64], px: float) -> NDArray[np.float64]:
    """Return weights (n,) that go down with what is left of shifts (n, 2)."""
    away = np.linalg.norm(rest, axis=1)
    scatter = max(3 * float(np.median(away)), 2 * _LEAST_SCATTER * px)
    weights: NDArray[np.float64] = 1 / (1 + (away / scatter) ** 2) ** 2
    return weights


def _basis(places: NDArray[np.float64], rows: int, columns: int) -> sparse.csr_array:
    """Return the weights (n, rows * columns) of the knots at places."""
    n = len(places)
    firsts, weights = zip(
        *(
            spline_weights(places[:, k], count)
            for k, count in enumerate((rows, columns))
        ),
        strict=True,
    )
    four = np.arange(4)
    knots = (firsts[0][:, None, None] + four[:, None]) * columns
    knots = knots + firsts[1][:, None, None] + four
    values = weights[0][:, :, None] * weights[1][:, None, :]
    table = (values.ravel(), (np.repeat(np.arange(n), 16), knots.ravel()))
    return sparse.csr_array(table, shape=(n, rows * columns))


def _bending(rows: int, columns: int) -> sparse.csr_array:
    """Return the quadratic form of the bending energy, plus next to nothing."""
    second = [_differences(count, (1.0, -2.0, 1.0)) for count in (rows, columns)]
    first = [_differences(count, (-1.0, 1.0)) for count in (rows, columns)]
    parts = [
        sparse.kron(second[0], sparse.eye_array(columns)),
        sparse.kron(sparse.eye_array(rows), second[1]),
        np.sqrt(2) * sparse.kron(*first),
    ]
    total = 1e-5 * sparse.eye_array(rows * columns)
    for part in parts:
        total = total + part.T @ part
    return sparse.csr_array(total)


def _differences(count: int, stencil: tuple[float, ...]) -> sparse.dia_array:
    n = count - len(stencil) + 1
    return sparse.diags_array(
        [np.full(n, value) for value in stencil],
        offsets=list(range(len(stencil))),
        shape=(n, count),
    )
