"""Painting round structures: two-layered ducts, acini, vessels, in-situ rims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_her2.core.geometry import BoxUm
from napari_her2.phantom.ducts import Duct, DuctKind
from napari_her2.phantom.ground import Ground, NucleusKind, Select
from napari_her2.phantom.lattice import Lattice
from napari_her2.phantom.noise import Floats, look_up, smooth_texture, uniforms

_RED_CELL_UM = 6.6


@dataclass(frozen=True, slots=True)
class Ring:
    """One layer of wall cells: how many around, and their depth in µm."""

    count: int
    depth_um: float
    seed: int

    @classmethod
    def luminal(cls, duct: Duct) -> Ring:
        """Columnar cells that face the lumen."""
        count = max(6, round(2 * np.pi * (duct.radius_um - 7) / 6.8))
        return cls(count, 7.5, duct.seed % 2**31)

    @classmethod
    def basal(cls, duct: Duct) -> Ring:
        """Flat cells at the outline: myoepithelium, or endothelium of a vessel."""
        spacing = 17.0 if duct.kind is DuctKind.VESSEL else 12.0
        count = max(3, round(2 * np.pi * duct.radius_um / spacing))
        return cls(count, 1.8, (duct.seed + 1) % 2**31)

    def drawn(self) -> Floats:
        """Uniform numbers of every cell, shape (6, count)."""
        return uniforms(self.seed, np.arange(self.count), np.array([0]), 6).reshape(
            6, -1
        )


def paint_duct(ground: Ground, duct: Duct, box: BoxUm) -> None:
    """Lay one structure; carcinoma inside an in-situ duct comes later."""
    reach = duct.reach_um + 3
    where = np.flatnonzero(
        (np.abs(ground.y_um - duct.y_um) < reach)
        & (np.abs(ground.x_um - duct.x_um) < reach)
        & (ground.outline > 0)
    )
    if not where.size:
        return
    depth64, angle = duct.polar(ground.y_um[where], ground.x_um[where])
    depth = depth64.astype(np.float32)
    rim = where[depth > -2]
    _paint_basement(ground, rim, depth[depth > -2])
    keep = depth > -ground.mpp
    where, depth, angle = where[keep], depth[keep], angle[keep]
    if duct.kind is DuctKind.VESSEL:
        _paint_vessel(ground, duct, where, depth, box)
    elif duct.kind is DuctKind.IN_SITU:
        cover = ground.cover(depth)
        ground.lay(where, cover, 0.1, 0.45 if ground.is_he else 0.02)
    else:
        _paint_luminal(ground, duct, where, depth, angle)
    _paint_basal(ground, duct, where, depth, angle)


def _paint_basement(ground: Ground, where: Select, depth: Floats) -> None:
    band = np.exp(-(((depth + 0.4) / 0.9) ** 2)).astype(np.float32)
    ground.lay(where, 0.8 * band, 0.08, 0.85 if ground.is_he else 0.02)


def _paint_luminal(
    ground: Ground, duct: Duct, where: Select, depth: Floats, angle: Floats
) -> None:
    ring = Ring.luminal(duct)
    drawn = ring.drawn()
    turn = (angle / (2 * np.pi) + 0.5) * ring.count
    # walls between cells are jittered, so that cells differ in width
    k = np.floor(turn).astype(np.int64) % ring.count
    wall = 0.5 * (drawn[0] - 0.5)
    k = np.where(turn - np.floor(turn) < wall[k], (k - 1) % ring.count, k)
    along = (turn - k + ring.count / 2) % ring.count - ring.count / 2
    left, right = wall[k], 1 + wall[(k + 1) % ring.count]
    spacing = 2 * np.pi * (duct.radius_um - 7) / ring.count
    side = (np.minimum(along - left, right - along) * spacing).astype(np.float32)
    height = (13.5 + 3.0 * (drawn[1] - 0.5)).astype(np.float32)[k]
    top = height - depth
    cover = ground.cover(depth)
    lumen = ground.cover(-top) * cover
    texture = smooth_texture(4.0, 1)
    local_v = depth
    local_u = (along * spacing).astype(np.float32) + k.astype(np.float32) * 41
    grain = look_up(texture, local_v * 4, local_u * 4)
    wall_line = np.exp(-((np.minimum(side, top) / 0.5) ** 2)).astype(np.float32)
    if ground.is_he:
        ground.lay(where, cover, 0.16, 0.5 + 0.06 * grain + 0.12 * wall_line)
    else:
        ground.lay(where, cover, 0.16 + 0.03 * grain, 0.03 + 0.07 * wall_line)
    centre = np.float32(ring.depth_um) + (drawn[2] - 0.5).astype(np.float32)[k] * 3
    middle = (0.5 * (left + right) + 0.25 * (drawn[3][k] - 0.5)) * spacing
    across = (along * spacing - middle).astype(np.float32)
    semi_u = (2.1 + 0.9 * drawn[4]).astype(np.float32)[k]
    semi_v = (3.0 + 1.2 * drawn[5]).astype(np.float32)[k]
    lump = 0.12 * look_up(texture, local_v * 1.5, local_u * 1.5 + 99)
    radius = np.sqrt((across / semi_u) ** 2 + ((depth - centre) / semi_v) ** 2) + lump
    nucleus = np.minimum((1 - radius) * semi_u, side - 0.3)
    density = 0.85 + 0.16 * grain + 0.2 * np.exp(-((nucleus / 0.5) ** 2))
    ground.lay(
        where,
        ground.cover(nucleus) * cover,
        density.astype(np.float32),
        0.25 if ground.is_he else 0.01,
        NucleusKind.LUMINAL,
    )
    ground.lay(where, lumen, 0.01, 0.03 if ground.is_he else 0.0)


def _paint_basal(
    ground: Ground, duct: Duct, where: Select, depth: Floats, angle: Floats
) -> None:
    ring = Ring.basal(duct)
    drawn = ring.drawn()
    turn = (angle / (2 * np.pi) + 0.5) * ring.count
    k = np.floor(turn).astype(np.int64) % ring.count
    spacing = 2 * np.pi * duct.radius_um / ring.count
    centre = 0.5 + 0.4 * (drawn[0] - 0.5)
    across = ((turn - np.floor(turn) - centre[k]) * spacing).astype(np.float32)
    semi_u = (2.6 + 1.6 * drawn[1]).astype(np.float32)[k]
    semi_v = (0.9 + 0.7 * drawn[2]).astype(np.float32)[k]
    radius = np.sqrt(
        (across / semi_u) ** 2 + ((depth - np.float32(ring.depth_um)) / semi_v) ** 2
    )
    present = (drawn[3] < 0.7)[k]
    inside = np.where(present, (1 - radius) * semi_v, -9).astype(np.float32)
    hit = np.flatnonzero(inside > -ground.mpp)
    ground.lay(
        where[hit],
        ground.cover(inside[hit]),
        1.05,
        0.25 if ground.is_he else 0.0,
        NucleusKind.BASAL,
    )


def _paint_vessel(
    ground: Ground, duct: Duct, where: Select, depth: Floats, box: BoxUm
) -> None:
    wall_um = np.float32(1.6 + 0.08 * duct.radius_um)
    cover = ground.cover(depth)
    ground.lay(where, cover, 0.08, 0.6 if ground.is_he else 0.02)
    ground.lay(where, ground.cover(depth - wall_um), 0.0, 0.02 * ground.is_he)
    inner = np.flatnonzero(depth > wall_um + 0.5)
    if not inner.size or duct.seed % 3 == 0:
        return
    lattice = Lattice(_RED_CELL_UM, 0.5, box)
    drawn = lattice.draw(duct.seed % 2**31, 3)
    lattice.settle(drawn[0], drawn[1], 0.3)
    v, u = lattice.to_lattice(ground.y_um[where[inner]], ground.x_um[where[inner]])
    near = lattice.nearest(v, u, np.zeros(drawn.shape[1]))
    at = near.first
    disc = 2.9 - np.sqrt(near.dv**2 + (near.du * (1 + 0.4 * drawn[2][at])) ** 2)
    disc = np.where(drawn[2][at] < 0.75, disc, -9).astype(np.float32)
    disc = np.minimum(disc, depth[inner] - wall_um)
    ground.lay(
        where[inner],
        ground.cover(disc),
        0.02 if ground.is_he else 0.12,
        0.95 if ground.is_he else 0.03,
    )
