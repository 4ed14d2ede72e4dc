"""Where the invasive tumour lies: outlines that a person drew, in level-0 pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon and the holes in it."""

    edge: Region
    holes: tuple[Region, ...] = ()

    def contains(self, points_yx: Points) -> NDArray[np.bool_]:
        """Tell which points (n, 2) lie in the polygon and in none of its holes."""
        box = self.edge.bounds
        low, high = (box.y0, box.x0), (box.y1, box.x1)
        inside = np.asarray(((points_yx >= low) & (points_yx <= high)).all(1), bool)
        near = np.flatnonzero(inside)
        if near.size:
            kept = points_in_poly(points_yx[near], self.edge.vertices_yx)
            for hole in self.holes:
                kept &= ~points_in_poly(points_yx[near], hole.vertices_yx)
            inside[near] = kept
        return inside


@dataclass(frozen=True, slots=True)
class TumourArea:
    """Outlines round invasive tumour, and those of what is left out of it.

    Parameters
    ----------
    drawn
        One or more.
    left_out
        In-situ ducts, necrosis and the like; they are taken off every outline drawn.
    """

    drawn: tuple[Outline, ...]
    left_out: tuple[Outline, ...] = ()

    @classmethod
    def from_box(cls, box_px: BoxPx) -> TumourArea:
        """Return the area of a box that is not empty."""
        return cls((Outline(Region.from_box("box", "box", box_px)),))

    @property
    def bounds(self) -> BoxPx:
        """The smallest box round all outlines drawn."""
        boxes = np.array([one.edge.bounds.as_tuple() for one in self.drawn])
        (y0, x0), (y1, x1) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
        return BoxPx(y0, x0, y1, x1)

    def overlap_px(self, box_px: BoxPx) -> float:
        """Return the area shared with a box, in square level-0 pixels.

        Holes are not taken off, and what two outlines share counts twice.
        """
        return sum(one.edge.overlap_px(box_px) for one in self.drawn)

    def reaches(self, boxes_px: Sequence[BoxPx]) -> NDArray[np.bool_]:
        """Tell into which boxes the outlines drawn reach, or come near.

        All that they reach into are among them, and a few beside a slanting side.
        """
        sides = np.array([box.as_tuple() for box in boxes_px], float).reshape(-1, 4)
        found = np.zeros(len(sides), bool)
        for one in self.drawn:
            corner = np.array(one.edge.vertices_yx)
            after = np.roll(corner, -1, 0)
            low, high = np.minimum(corner, after), np.maximum(corner, after)
            found |= points_in_poly((sides[:, :2] + sides[:, 2:]) / 2, corner)
            for k in np.flatnonzero(~found):
                y0, x0, y1, x1 = sides[k]
                found[k] = ((low < (y1, x1)).all(1) & (high > (y0, x0)).all(1)).any()
        return found

    def contains(self, points_yx: Points) -> NDArray[np.bool_]:
        """Tell which points (n, 2) lie in the area."""
        return _in_any(self.drawn, points_yx) & ~_in_any(self.left_out, points_yx)


def _in_any(outlines: Iterable[Outline], points_yx: Points) -> NDArray[np.bool_]:
    found = np.zeros(len(points_yx), bool)
    for one in outlines:
        found |= one.contains(points_yx)
    return found
