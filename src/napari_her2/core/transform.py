"""Maps between two sections: affine steps and smooth ones, in micrometres.

A :class:`Transform` says from where to where it leads, so that the opposite
direction cannot be taken for it. Points are (y, x) in µm from the corner of the
slide; box edges are mapped too, since a deformation bends them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import Affine, BoxUm

SCHEMA: Final = "napari-her2/transform/1"
MAX_KNOTS: Final = 1 << 18
_INVERSE_STEPS: Final = 60
_INVERSE_UM: Final = 1e-6
_POINTS_PER_EDGE: Final = 33


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """A smooth shift ``p -> p + d(p)``, d a uniform cubic B-spline.

    Beyond its knots the shift stays what it is at the border.

    Parameters
    ----------
    origin_um
        (y, x) of the point whose four nearest knots are the first four.
    spacing_um
        Distance of the knots.
    knots_um
        (rows, columns, 2), at least 4 x 4: coefficients of the spline, kept to a
        nanometre.
    inverted
        Whether the map is the opposite one, ``q -> p`` with ``p + d(p) = q``,
        found by iteration to a millionth of a micrometre.

    Raises
    ------
    ValueError
        If a number is not finite, or neighbouring knots differ so much that
        points could change places.
    """

    origin_um: tuple[float, float]
    spacing_um: float
    knots_um: NDArray[np.float64]
    inverted: bool = False

    def __post_init__(self) -> None:
        # rounded here, not on the way out: what is used is what is written down
        knots = np.round(np.array(self.knots_um, dtype=float), 3)
        if knots.ndim != 3 or knots.shape[2] != 2 or min(knots.shape[:2]) < 4:
            raise ValueError(f"a warp needs (>= 4, >= 4, 2) knots, got {knots.shape}")
        numbers = np.array([*self.origin_um, self.spacing_um])
        if not (np.isfinite(knots).all() and np.isfinite(numbers).all()):
            raise ValueError("a warp holds a value that is not finite")
        if self.spacing_um <= 0:
            raise ValueError("the knots of a warp lie at a positive distance")
        if _steepness(knots, self.spacing_um) >= 1:
            raise ValueError("the warp folds: its knots differ by more than they lie")
        knots.setflags(write=False)
        object.__setattr__(self, "knots_um", knots)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Warp) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.origin_um, self.spacing_um, self.inverted))

    def inverse(self) -> Warp:
        """Return the opposite map."""
        return Warp(self.origin_um, self.spacing_um, self.knots_um, not self.inverted)

    def shift_um(self, points_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return d at points of shape (n, 2)."""
        rows, columns, _ = self.knots_um.shape
        total = np.zeros_like(points_um)
        places = (points_um - self.origin_um) / self.spacing_um
        ys, weights_y = spline_weights(places[:, 0], rows)
        xs, weights_x = spline_weights(places[:, 1], columns)
        for i in range(4):
            for j in range(4):
                weight = weights_y[:, i] * weights_x[:, j]
                total += weight[:, None] * self.knots_um[ys + i, xs + j]
        return total

    def apply(self, points_um: ArrayLike) -> NDArray[np.float64]:
        """Map points of shape (..., 2)."""
        points = np.asarray(points_um, dtype=float)
        flat = points.reshape(-1, 2)
        if not self.inverted:
            return (flat + self.shift_um(flat)).reshape(points.shape)
        found = flat - self.shift_um(flat)
        for _ in range(_INVERSE_STEPS):
            step = flat - self.shift_um(found) - found
            found += step
            if not step.size or np.abs(step).max() < _INVERSE_UM:
                break
        return found.reshape(points.shape)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "warp": {
                "origin_um": list(self.origin_um),
                "spacing_um": self.spacing_um,
                "inverted": self.inverted,
                "knots_um": self.knots_um.tolist(),
            }
        }


Step = Affine | Warp


@dataclass(frozen=True, slots=True)
class Transform:
    """A map from one section to another, step after step.

    Parameters
    ----------
    source, target
        Names of what it leads from and to, for example ``"he"`` and ``"ihc"``.
    steps
        Applied in this order, (y, x) µm.
    """

    source: str
    target: str
    steps: tuple[Step, ...] = ()

    @property
    def affine(self) -> Affine | None:
        """The whole as one affine map, None where a step bends."""
        total = Affine()
        for step in self.steps:
            if isinstance(step, Warp):
                return None
            total = total.then(step)
        return total

    @property
    def told(self) -> str:
        """The rows of an affine map; of a bent one what tells it from others."""
        if (affine := self.affine) is not None:
            return repr(affine.rows)
        text = json.dumps(self.to_json(), sort_keys=True)
        return f"blake2b:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"

    def apply(self, points_um: ArrayLike) -> NDArray[np.float64]:
        """Map points (y, x) µm of shape (..., 2)."""
        points = np.asarray(points_um, dtype=float)
        for step in self.steps:
            points = step.apply(points)
        return points

    def box(self, box_um: BoxUm) -> BoxUm:
        """Return the smallest box that holds the map of a box."""
        along = np.linspace(0, 1, _POINTS_PER_EDGE)
        ys = box_um.y0 + (box_um.y1 - box_um.y0) * along
        xs = box_um.x0 + (box_um.x1 - box_um.x0) * along
        edges = [
            np.stack(np.broadcast_arrays(y, x), -1)
            for y, x in ((ys, xs[0]), (ys, xs[-1]), (ys[0], xs), (ys[-1], xs))
        ]
        points = self.apply(np.concatenate(edges))
        (y0, x0), (y1, x1) = points.min(0).tolist(), points.max(0).tolist()
        return BoxUm(y0, x0, y1, x1)

    def then(self, after: Transform) -> Transform:
        """Return the map that applies this one first and ``after`` second.

        Raises
        ------
        UsageError
            If this one does not lead where the other begins.
        """
        if self.target != after.source:
            raise UsageError(
                f"A transform to {self.target} cannot go before one from "
                f"{after.source}.",
                "Invert one of them.",
            )
        steps = _merged((*self.steps, *after.steps))
        return Transform(self.source, after.target, steps)

    def inverse(self) -> Transform:
        """Return the opposite map."""
        steps = tuple(step.inverse() for step in reversed(self.steps))
        return Transform(self.target, self.source, steps)

    def nearest_affine(self, box_um: BoxUm) -> Affine:
        """Return the affine map that differs least over a box (least squares)."""
        if (affine := self.affine) is not None:
            return affine
        grid = np.stack(
            np.meshgrid(
                np.linspace(box_um.y0, box_um.y1, _POINTS_PER_EDGE),
                np.linspace(box_um.x0, box_um.x1, _POINTS_PER_EDGE),
                indexing="ij",
            ),
            -1,
        ).reshape(-1, 2)
        known = np.column_stack([grid, np.ones(len(grid))])
        return Affine.from_matrix(np.linalg.lstsq(known, self.apply(grid))[0].T)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; see :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "from": self.source,
            "to": self.target,
            "unit": "um",
            "axes": "yx",
            "steps": [
                step.to_json()
                if isinstance(step, Warp)
                else {"affine": [list(row) for row in step.rows]}
                for step in self.steps
            ],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Transform:
        """Build from plain values.

        Raises
        ------
        ValueError
            If a field is missing or unknown, or a value makes no transform.
        """
        if fields.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {fields.get('schema')!r}, not {SCHEMA!r}")
        known = {"schema", "from", "to", "unit", "axes", "steps"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"unknown field {', '.join(map(repr, unknown))}")
        if (fields.get("unit"), fields.get("axes")) != ("um", "yx"):
            raise ValueError("its unit is not um, or its axes are not yx")
        names, steps = (fields.get("from"), fields.get("to")), fields.get("steps")
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("it does not say from where to where it leads")
        if not isinstance(steps, list) or len(steps) > 100:
            raise ValueError("its steps are no list")
        return cls(str(names[0]), str(names[1]), tuple(_step(one) for one in steps))


def _step(fields: Any) -> Step:
    match fields:
        case {"affine": rows} if len(fields) == 1:
            try:
                table = np.array(rows, dtype=float)
            except (TypeError, ValueError) as error:
                raise ValueError("an affine step is no table of numbers") from error
            return Affine.from_matrix(table)
        case {
            "warp": {
                "origin_um": [y, x],
                "spacing_um": spacing,
                "inverted": bool(inverted),
                "knots_um": knots,
            }
        } if len(fields) == 1:
            try:
                table = np.array(knots, dtype=float)
                origin, spacing = (float(y), float(x)), float(spacing)
            except (TypeError, ValueError) as error:
                raise ValueError("the knots of a warp are no table") from error
            if table.size > 2 * MAX_KNOTS:
                raise ValueError("a warp has too many knots")
            return Warp(origin, spacing, table, inverted)
    raise ValueError("a step is neither affine nor a warp")


def _merged(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Join neighbouring affine steps."""
    merged: list[Step] = []
    for step in steps:
        last = merged[-1] if merged else None
        if isinstance(last, Affine) and isinstance(step, Affine):
            merged[-1] = last.then(step)
        else:
            merged.append(step)
    return tuple(merged)


def spline_weights(
    places: NDArray[np.float64], n_knots: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the first of four knots (n,) and the four weights (n, 4).

    Parameters
    ----------
    places
        (n,) positions in distances of knots, 0 where the first span begins;
        clipped to the spans that there are.
    n_knots
        Number of knots, at least 4.
    """
    places = np.clip(places, 0, n_knots - 3)
    first = np.minimum(places.astype(np.intp), n_knots - 4)
    t = places - first
    weights = np.stack(
        [
            (1 - t) ** 3,
            3 * t**3 - 6 * t**2 + 4,
            -3 * t**3 + 3 * t**2 + 3 * t + 1,
            t**3,
        ],
        1,
    )
    return first, weights / 6


def _steepness(knots_um: NDArray[np.float64], spacing_um: float) -> float:
    """Return the steepest slope of the shift; below 1 no two points meet."""
    slopes = [
        np.sqrt((np.diff(knots_um, axis=axis) ** 2).sum(-1)).max() / spacing_um
        for axis in (0, 1)
    ]
    return math.hypot(*slopes)
