"""An area of the slide that a person chose, as a polygon with exact overlaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from napari_her2.core.geometry import BoxPx

PointYX = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A closed polygon in level-0 pixels of the reference slide.

    ``vertices_yx`` are its corners in order, corner based: the first pixel of
    the slide spans 0 to 1. The last corner joins the first. What lies in an excluded
    region does not count.

    Raises
    ------
    ValueError
        If there are fewer than three corners, one is not finite, or the
        polygon has no area.
    """

    region_id: str
    name: str
    vertices_yx: tuple[PointYX, ...]
    is_excluded: bool = False

    def __post_init__(self) -> None:
        if len(self.vertices_yx) < 3:
            raise ValueError(f"region {self.name!r} needs at least three corners")
        if not all(math.isfinite(value) for yx in self.vertices_yx for value in yx):
            raise ValueError(f"region {self.name!r} has a corner that is not finite")
        if self.area_px == 0:
            raise ValueError(f"region {self.name!r} has no area")

    @classmethod
    def from_box(cls, region_id: str, name: str, box_px: BoxPx) -> Region:
        """Return the rectangle that covers a box."""
        return cls.from_points(region_id, name, box_px.corners_yx().tolist())

    @classmethod
    def from_points(
        cls, region_id: str, name: str, points_yx: Iterable[Sequence[float]]
    ) -> Region:
        """Return the polygon through points in level-0 pixels, in order."""
        vertices = tuple((float(y), float(x)) for y, x in points_yx)
        return cls(region_id, name, vertices)

    def same_area(self, other: Region | None) -> bool:
        """Whether another region is this one, but for its name."""
        return other is not None and replace(other, name=self.name) == self

    @property
    def bounds(self) -> BoxPx:
        """The smallest box of whole pixels that covers the region."""
        ys, xs = zip(*self.vertices_yx, strict=True)
        return BoxPx(
            math.floor(min(ys)),
            math.floor(min(xs)),
            math.ceil(max(ys)),
            math.ceil(max(xs)),
        )

    @property
    def area_px(self) -> float:
        """Area in square level-0 pixels."""
        return _area(self.vertices_yx)

    def overlap_px(self, box_px: BoxPx) -> float:
        """Return the area shared with a box, in square level-0 pixels.

        Examples
        --------
        >>> half = Region("r", "half", ((0, 0), (0, 10), (10, 0)))
        >>> half.overlap_px(BoxPx(0, 0, 10, 10))
        50.0
        """
        return overlap_area(self.vertices_yx, box_px)

    def overlap_share(self, box_px: BoxPx) -> float:
        """Return which share of a box lies in the region, 0 to 1."""
        return self.overlap_px(box_px) / box_px.area if box_px.area else 0.0


def overlap_area(polygon_yx: Iterable[Sequence[float]], box_px: BoxPx) -> float:
    """Return the area a polygon shares with a box (Sutherland-Hodgman clipping).

    Clipping against a box keeps the area right for concave polygons too: the
    edges it adds along the border of the box enclose nothing.
    """
    points = [(float(y), float(x)) for y, x in polygon_yx]
    for axis, bound, sign in (
        (0, box_px.y0, 1.0),
        (0, box_px.y1, -1.0),
        (1, box_px.x0, 1.0),
        (1, box_px.x1, -1.0),
    ):
        points = _clip(points, axis, float(bound), sign)
        if not points:
            return 0.0
    return _area(points)


def _clip(points: list[PointYX], axis: int, bound: float, sign: float) -> list[PointYX]:
    """Keep what lies on one side: ``sign * (coordinate - bound) >= 0``."""
    kept: list[PointYX] = []
    for start, end in zip(points, points[1:] + points[:1], strict=True):
        before = sign * (start[axis] - bound)
        after = sign * (end[axis] - bound)
        if before >= 0:
            kept.append(start)
        if (before > 0 > after) or (before < 0 < after):
            t = before / (before - after)
            crossing = [s + t * (e - s) for s, e in zip(start, end, strict=True)]
            crossing[axis] = bound
            kept.append((crossing[0], crossing[1]))
    return kept


def _area(points: Sequence[PointYX]) -> float:
    """Shoelace area, taken about the first corner to keep digits on big slides."""
    y0, x0 = points[0]
    shifted = [(y - y0, x - x0) for y, x in points]
    doubled = math.fsum(
        ya * xb - yb * xa
        for (ya, xa), (yb, xb) in zip(shifted, shifted[1:] + shifted[:1], strict=True)
    )
    return abs(doubled) / 2
