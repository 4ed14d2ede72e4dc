"""An area a person chose, as a polygon in level-0 pixels of the reference slide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from napari_her2.core.geometry import BoxPx

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A named polygon, vertices (y, x) in level-0 pixels, closed implicitly.

    Raises
    ------
    ValueError
        With fewer than three vertices or a vertex that is not finite.
    """

    region_id: str
    name: str
    vertices_yx: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.vertices_yx) < 3:
            raise ValueError(f"region {self.name!r} needs at least three corners")
        if not all(math.isfinite(v) for point in self.vertices_yx for v in point):
            raise ValueError(f"region {self.name!r} has a corner that is not finite")

    @classmethod
    def from_box(cls, region_id: str, name: str, box: BoxPx) -> Region:
        """Return the rectangle that covers a box."""
        corners = box.corners_yx().tolist()
        return cls(region_id, name, tuple((y, x) for y, x in corners))

    @property
    def bounds(self) -> BoxPx:
        """The smallest pixel box around the polygon."""
        ys, xs = zip(*self.vertices_yx, strict=True)
        return BoxPx(
            math.floor(min(ys)),
            math.floor(min(xs)),
            math.ceil(max(ys)),
            math.ceil(max(xs)),
        )

    def overlap_area(self, box: BoxPx) -> float:
        """Area in square level-0 pixels that the polygon shares with a box.

        The polygon is cut at the four edges of the box in turn (Sutherland and
        Hodgman 1974), which is exact for simple polygons, convex or not.

        Examples
        --------
        >>> Region.from_box("a", "A", BoxPx(0, 0, 10, 10)).overlap_area(
        ...     BoxPx(5, 5, 20, 20)
        ... )
        25.0
        """
        points = list(self.vertices_yx)
        for axis, edge, keep_above in (
            (0, box.y0, True),
            (1, box.x0, True),
            (0, box.y1, False),
            (1, box.x1, False),
        ):
            points = list(_cut(points, axis, edge, keep_above))
        return _area(points)


def _cut(
    points: list[Point], axis: int, edge: float, keep_above: bool
) -> Iterable[Point]:
    sign = 1.0 if keep_above else -1.0
    for before, after in zip(points[-1:] + points[:-1], points, strict=True):
        inside_before = sign * (before[axis] - edge) >= 0
        inside_after = sign * (after[axis] - edge) >= 0
        if inside_before != inside_after:
            step = (edge - before[axis]) / (after[axis] - before[axis])
            yield (
                before[0] + step * (after[0] - before[0]),
                before[1] + step * (after[1] - before[1]),
            )
        if inside_after:
            yield after


def _area(points: list[Point]) -> float:
    rolled = points[1:] + points[:1]
    doubled = sum(
        a[0] * b[1] - b[0] * a[1] for a, b in zip(points, rolled, strict=True)
    )
    return abs(doubled) / 2
