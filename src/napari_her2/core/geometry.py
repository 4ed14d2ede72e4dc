"""Boxes and affine maps, with the unit in the name.

Pixel boxes are half-open ``(y0, x0, y1, x1)`` in level-0 pixels of a slide;
micrometre boxes use the same order. Axis order is always (y, x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class BoxPx:
    """A half-open box in level-0 pixels; an inverted box is empty."""

    y0: int
    x0: int
    y1: int
    x1: int

    @classmethod
    def parse(cls, text: str) -> BoxPx:
        """Read ``"y0,x0,y1,x1"``.

        Raises
        ------
        ValueError
            If the text is not four integers or the box is empty.

        Examples
        --------
        >>> BoxPx.parse("0, 10, 20, 40").shape
        (20, 30)
        """
        try:
            box = cls(*(int(part) for part in text.split(",")))
        except (TypeError, ValueError):
            raise ValueError(
                f"region {text!r} is not four integers y0,x0,y1,x1"
            ) from None
        if box.is_empty:
            raise ValueError(f"region {text!r} is empty: it needs y1 > y0 and x1 > x0")
        return box

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> BoxPx:
        """Return the box that covers an image of shape (height, width, ...)."""
        return cls(0, 0, int(shape[0]), int(shape[1]))

    @property
    def height(self) -> int:
        """Height in pixels, 0 when empty."""
        return max(0, self.y1 - self.y0)

    @property
    def width(self) -> int:
        """Width in pixels, 0 when empty."""
        return max(0, self.x1 - self.x0)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def area(self) -> int:
        """Area in square pixels."""
        return self.height * self.width

    @property
    def is_empty(self) -> bool:
        """Whether the box holds no pixel."""
        return self.area == 0

    @property
    def center(self) -> tuple[float, float]:
        """(y, x) of the middle."""
        return (self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2

    def as_tuple(self) -> tuple[int, int, int, int]:
        """Return (y0, x0, y1, x1)."""
        return self.y0, self.x0, self.y1, self.x1

    def intersect(self, other: BoxPx) -> BoxPx:
        """Return the common part, possibly empty."""
        return BoxPx(
            max(self.y0, other.y0),
            max(self.x0, other.x0),
            min(self.y1, other.y1),
            min(self.x1, other.x1),
        )

    def padded(self, margin_px: int) -> BoxPx:
        """Return the box grown by a margin on every side."""
        return BoxPx(
            self.y0 - margin_px,
            self.x0 - margin_px,
            self.y1 + margin_px,
            self.x1 + margin_px,
        )

    def to_um(self, mpp: float) -> BoxUm:
        """Convert to micrometres at ``mpp`` µm per pixel."""
        return BoxUm(self.y0 * mpp, self.x0 * mpp, self.y1 * mpp, self.x1 * mpp)

    def corners_yx(self) -> NDArray[np.float64]:
        """Return the four corners, shape (4, 2), clockwise from the top left."""
        return np.array(
            [
                [self.y0, self.x0],
                [self.y0, self.x1],
                [self.y1, self.x1],
                [self.y1, self.x0],
            ],
            dtype=float,
        )


@dataclass(frozen=True, slots=True)
class BoxUm:
    """A box in micrometres from the corner of level-0 pixel (0, 0)."""

    y0: float
    x0: float
    y1: float
    x1: float

    def to_px(self, mpp: float) -> BoxPx:
        """Convert to the smallest level-0 pixel box that covers this one.

        Edges closer than a thousandth of a pixel to a whole pixel snap to it,
        so that a round trip through micrometres gives the same box back.
        """
        snap = 1e-3
        return BoxPx(
            math.floor(self.y0 / mpp + snap),
            math.floor(self.x0 / mpp + snap),
            math.ceil(self.y1 / mpp - snap),
            math.ceil(self.x1 / mpp - snap),
        )


@dataclass(frozen=True, slots=True)
class Affine:
    """A map (y, x) -> (y, x): ``A @ p + t``, stored as two rows (a, b, t).

    The unit of its points is stated where the value is held (for a slide pair
    micrometres, see ``SlidePair.he_to_ihc_um``).
    """

    rows: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
    )

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> Affine:
        """Build from a (2, 3) or (3, 3) matrix.

        Raises
        ------
        ValueError
            If the shape is wrong, a value is not finite, the map is singular
            or its last row is not (0, 0, 1).
        """
        array = np.asarray(matrix, dtype=float)
        if array.shape not in ((2, 3), (3, 3)):
            raise ValueError(f"an affine map is 2x3 or 3x3 numbers, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError("an affine map holds a value that is not finite")
        if len(array) == 3 and not np.allclose(array[2], (0, 0, 1)):
            raise ValueError("the last row of an affine map is 0, 0, 1")
        # relative to its size: a map between far scales can be inverted all right
        size = float(np.abs(array[:2, :2]).max())
        if size == 0 or abs(np.linalg.det(array[:2, :2] / size)) < 1e-9:
            raise ValueError("the affine map cannot be inverted")
        (a, b, t), (c, d, u) = array[:2].tolist()
        return cls(((a, b, t), (c, d, u)))

    @classmethod
    def scaling(cls, factor: float) -> Affine:
        """Return the map that multiplies both axes."""
        return cls(((factor, 0.0, 0.0), (0.0, factor, 0.0)))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The homogeneous (3, 3) matrix."""
        return np.array([*self.rows, (0.0, 0.0, 1.0)])

    @property
    def is_identity(self) -> bool:
        """Whether the map moves nothing."""
        return self == Affine()

    @property
    def mean_scale(self) -> float:
        """Square root of the area factor."""
        return float(abs(np.linalg.det(self.matrix[:2, :2])) ** 0.5)

    def then(self, after: Affine) -> Affine:
        """Return the map that applies this one first and ``after`` second."""
        return Affine.from_matrix(after.matrix @ self.matrix)

    def inverse(self) -> Affine:
        """Return the opposite map."""
        return Affine.from_matrix(np.linalg.inv(self.matrix))

    def apply(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """Map points of shape (..., 2)."""
        points = np.asarray(points_yx, dtype=float)
        matrix = self.matrix
        return points @ matrix[:2, :2].T + matrix[:2, 2]
