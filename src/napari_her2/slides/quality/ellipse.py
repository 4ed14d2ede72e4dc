"""Fit an ellipse to points of which some do not belong to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TRIES: Final = 150
_SAMPLE: Final = 6
_LEAST_ROUND: Final = 0.6

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Centre (y, x), half axes and the turn of the first of them, in pixels, radians.

    ``long`` is the half axis along ``turn``, measured from the x axis.
    """

    y: float
    x: float
    long: float
    short: float
    turn: float

    @property
    def diameter(self) -> float:
        """Diameter of a circle of the same area."""
        return float(2 * np.sqrt(self.long * self.short))

    def radius_at(self, rows: Points, cols: Points) -> Points:
        """Return how far out places lie; 1 is on the outline."""
        dy, dx = rows - self.y, cols - self.x
        along = (np.cos(self.turn) * dx + np.sin(self.turn) * dy) / self.long
        across = (np.cos(self.turn) * dy - np.sin(self.turn) * dx) / self.short
        return np.asarray(np.hypot(along, across))

    def grown(self, by_px: float) -> Ellipse:
        """Return it with both half axes longer, by at most what they are."""
        long, short = max(self.long + by_px, 1.0), max(self.short + by_px, 1.0)
        return replace(self, long=long, short=short)

    def inside(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels (h, w) it encloses."""
        rows, cols = np.ogrid[: shape[0], : shape[1]]
        return np.asarray(
            self.radius_at(rows.astype(float), cols.astype(float)) <= 1, bool
        )

    def arc_share(self, mask: NDArray[np.bool_], near_px: float) -> float:
        """Return the part of its outline within the image that a mask follows."""
        angle = np.linspace(0, 2 * np.pi, 181)[:-1]
        hit = np.zeros(180, bool)
        within = np.zeros(180, bool)
        for step in np.arange(-near_px, near_px + 0.5, 0.5):
            a, b = self.long + step, self.short + step
            dx, dy = a * np.cos(angle), b * np.sin(angle)
            row = self.y + np.sin(self.turn) * dx + np.cos(self.turn) * dy
            col = self.x + np.cos(self.turn) * dx - np.sin(self.turn) * dy
            row, col = np.round(row).astype(int), np.round(col).astype(int)
            ok = (row >= 0) & (col >= 0)
            ok &= (row < mask.shape[0]) & (col < mask.shape[1])
            within |= ok
            hit[ok] |= mask[row[ok], col[ok]]
        # half of it must be in sight to be called an ellipse at all
        return float(hit.sum() / within.sum()) if within.mean() > 0.45 else 0.0


def fit_ellipse(
    rows: NDArray[np.int64], cols: NDArray[np.int64], tolerance_px: float
) -> Ellipse | None:
    """Return the ellipse that most points lie on, None where there is none.

    Random samples of six points, each solved by least squares for the five free
    coefficients of a conic (RANSAC; Fischler and Bolles 1981), with a fixed seed.
    """
    rng = np.random.default_rng(0)
    y, x = rows.astype(float), cols.astype(float)
    if len(y) > 3000:
        chosen = rng.choice(len(y), 3000, replace=False)
        y, x = y[chosen], x[chosen]
    best, most = None, 0
    for _ in range(_TRIES):
        picked = rng.choice(len(y), _SAMPLE, replace=False)
        found = _conic(y[picked], x[picked])
        if found is None:
            continue
        n_near = int(_near(found, y, x, tolerance_px).sum())
        if n_near > most:
            best, most = found, n_near
    if best is None:
        return None
    near = _near(best, y, x, tolerance_px)
    return (_conic(y[near], x[near]) if near.sum() > 12 else None) or best


def _near(found: Ellipse, y: Points, x: Points, tolerance_px: float) -> Points:
    off = np.abs(found.radius_at(y, x) - 1) * found.diameter / 2
    return np.asarray(off <= tolerance_px)


def _conic(y: Points, x: Points) -> Ellipse | None:
    """Solve a x² + b xy + c y² + d x + e y = 1 and turn it into axes."""
    middle_y, middle_x = y.mean(), x.mean()
    scale = max(float(np.hypot(y - middle_y, x - middle_x).max()), 1.0)
    v, u = (y - middle_y) / scale, (x - middle_x) / scale
    terms = np.stack([u * u, u * v, v * v, u, v], 1)
    try:
        a, b, c, d, e = np.linalg.lstsq(terms, np.ones(len(u)), rcond=None)[0]
    except np.linalg.LinAlgError:
        return None
    form = np.array([[a, b / 2], [b / 2, c]])
    if np.linalg.det(form) <= 1e-9:
        return None
    centre = -np.linalg.solve(2 * form, np.array([d, e]))
    level = 1 + centre @ form @ centre
    values, vectors = np.linalg.eigh(form / level)
    if values.min() <= 0:
        return None
    short, long = np.sqrt(1 / values[1]), np.sqrt(1 / values[0])
    if short < _LEAST_ROUND * long or long > 20:
        return None
    turn = float(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return Ellipse(
        float(middle_y + centre[1] * scale),
        float(middle_x + centre[0] * scale),
        float(long * scale),
        float(short * scale),
        turn,
    )
