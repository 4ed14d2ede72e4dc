"""A turned square lattice with one seeded point in each of its cells.

Points repel their neighbours once, which gives the even but irregular packing
of cells in tissue; the nearest two points of any place are found among nine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxUm
from napari_her2.phantom.noise import Floats, uniforms

Index = NDArray[np.int32]

_PAD = 4
_NINE = [(dv, du) for dv in (-1, 0, 1) for du in (-1, 0, 1)]


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each place: its cell, and how far its border is.

    ``first`` indexes the lattice's flat arrays; ``dv`` and ``du`` are the offset
    from the cell's point and ``border`` the distance to the border with the next
    cell, all in µm in lattice axes.
    """

    first: Index
    dv: Floats
    du: Floats
    border: Floats


class Lattice:
    """The part of a lattice around one box.

    ``iv``, ``iu`` (flat, int64) number the lattice cells for hashing; points are
    added by :meth:`settle`. ``v``, ``u`` are coordinates in lattice units.
    """

    def __init__(self, pitch_um: float, angle: float, box: BoxUm) -> None:
        self.pitch_um = pitch_um
        self._cos, self._sin = math.cos(angle), math.sin(angle)
        corners_y = np.array([box.y0, box.y0, box.y1, box.y1])
        corners_x = np.array([box.x0, box.x1, box.x0, box.x1])
        v, u = self.to_lattice(corners_y, corners_x)
        self._v0, self._u0 = math.floor(v.min()) - _PAD, math.floor(u.min()) - _PAD
        rows = np.arange(self._v0, math.floor(v.max()) + _PAD + 1)
        cols = np.arange(self._u0, math.floor(u.max()) + _PAD + 1)
        self.shape = (len(rows), len(cols))
        iv, iu = np.meshgrid(rows, cols, indexing="ij")
        self.iv, self.iu = iv.ravel(), iu.ravel()
        self.v: Floats = self.iv + 0.5
        self.u: Floats = self.iu + 0.5

    def to_lattice(self, y_um: Floats, x_um: Floats) -> tuple[Floats, Floats]:
        """Turn micrometres into lattice units."""
        v = (self._cos * y_um - self._sin * x_um) / self.pitch_um
        u = (self._sin * y_um + self._cos * x_um) / self.pitch_um
        return v, u

    def turn(self, dv: Floats, du: Floats) -> tuple[Floats, Floats]:
        """Turn an offset in lattice axes into one in (y, x), same unit."""
        return self._cos * dv + self._sin * du, -self._sin * dv + self._cos * du

    def points_um(self) -> tuple[Floats, Floats]:
        """Return y and x of the points in µm."""
        return self.turn(self.v * self.pitch_um, self.u * self.pitch_um)

    def draw(self, seed: int, count: int) -> Floats:
        """Draw uniform numbers per lattice cell, shape (count, n)."""
        return uniforms(seed, self.iv, self.iu, count)

    def settle(self, jitter_v: Floats, jitter_u: Floats, repulsion: float) -> None:
        """Place the points (jitter in [0, 1)) and let neighbours repel twice.

        The outermost two rings have no full neighbourhood and must not be used.
        """
        v = (self.iv + jitter_v).reshape(self.shape)
        u = (self.iu + jitter_u).reshape(self.shape)
        for _ in range(2):
            push_v, push_u = np.zeros_like(v), np.zeros_like(u)
            for dv, du in _NINE:
                if dv == du == 0:
                    continue
                away_v = v - np.roll(v, (-dv, -du), (0, 1))
                away_u = u - np.roll(u, (-dv, -du), (0, 1))
                apart = np.sqrt(away_v**2 + away_u**2) + 1e-3
                force = np.clip(0.95 - apart, 0, None) * repulsion / apart
                push_v += force * away_v
                push_u += force * away_u
            v = v + np.clip(push_v, -0.3, 0.3)
            u = u + np.clip(push_u, -0.3, 0.3)
        self.v, self.u = v.ravel(), u.ravel()

    def nearest(self, v: Floats, u: Floats, reach: Floats) -> Nearest:
        """Find the cell of each place, given in lattice units.

        ``reach`` (one per lattice cell, lattice units squared) enlarges a cell
        against its neighbours (a power diagram).
        """
        row, col = np.floor(v), np.floor(u)
        frac_v = (v - row).astype(np.float32)
        frac_u = (u - col).astype(np.float32)
        home = (row - self._v0).astype(np.int32) * np.int32(self.shape[1])
        home += (col - self._u0).astype(np.int32)
        rest_v = (self.v - self.iv).astype(np.float32)
        rest_u = (self.u - self.iu).astype(np.float32)
        bonus = reach.astype(np.float32)

        best = np.full(v.shape, np.inf, np.float32)
        second = best.copy()
        best_at = home
        second_at = home
        for dv, du in _NINE:
            at = home + np.int32(dv * self.shape[1] + du)
            away_v = frac_v - rest_v.take(at)
            away_v -= np.float32(dv)
            away_u = frac_u - rest_u.take(at)
            away_u -= np.float32(du)
            away_v *= away_v
            away_u *= away_u
            away_v += away_u
            away_v -= bonus.take(at)
            closer = away_v < best
            runner = away_v < second
            second_at = np.where(closer, best_at, np.where(runner, at, second_at))
            second = np.where(closer, best, np.minimum(second, away_v))
            best_at = np.where(closer, at, best_at)
            best = np.minimum(best, away_v)
        gap_v = self.v.take(second_at) - self.v.take(best_at)
        gap_u = self.u.take(second_at) - self.u.take(best_at)
        gap = np.sqrt(gap_v * gap_v + gap_u * gap_u).astype(np.float32)
        pitch = np.float32(self.pitch_um)
        return Nearest(
            first=best_at,
            dv=(v - self.v.take(best_at)).astype(np.float32) * pitch,
            du=(u - self.u.take(best_at)).astype(np.float32) * pitch,
            border=(second - best) * (np.float32(0.5) * pitch) / gap,
        )
