"""Painting what is not epithelium: fibres, fibroblasts, fat, lymphocytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxUm
from napari_her2.phantom.ground import Ground, NucleusKind, Select
from napari_her2.phantom.lattice import Lattice
from napari_her2.phantom.noise import Floats, look_up, smooth_texture, uniforms
from napari_her2.phantom.terrain import Terrain

FAT_PITCH_UM = 64.0
LYMPHOCYTE_PITCH_UM = 6.9
_SLOT_UM = (13.0, 36.0)


def paint_fibres(ground: Ground, where: Select) -> None:
    """Lay wavy oriented fibres with clefts, and the fibroblasts among them."""
    plan = ground.terrain.recipe.architecture
    along = ground.x_um[where] + ground.field("fibre_x")[where]
    across = ground.y_um[where] + ground.field("fibre_y")[where]
    v, u = across.astype(np.float32), along.astype(np.float32)
    # two sets of fibres cross at a small angle, so that none runs on for ever
    v2, u2 = v + 0.3 * u, u - 0.3 * v
    fine = look_up(smooth_texture(3.0, 4), v * 4.5, u * 0.45)
    thread = look_up(smooth_texture(3.0, 8), v2 * 2.6, u2 * 0.34)
    bundle = look_up(smooth_texture(4.0, 1), v * 1.6 + 300, u * 0.24)
    coarse = look_up(smooth_texture(6.0, 2), v2 * 0.8 + 700, u2 * 0.2)
    speck = look_up(smooth_texture(3.0, 8), v * 3.5, u * 3.5)
    dense = ground.field("dense")[where]
    collagen = 0.52 + 0.07 * fine + 0.07 * thread + 0.07 * bundle + 0.08 * coarse
    collagen += 0.09 * dense + 0.07 * speck
    # clefts open between bundles, more in loose tissue and around nests
    near = np.maximum(ground.nest[where], ground.duct[where])
    cleft = 0.5 * thread + 0.7 * bundle + 0.7 * coarse + 0.8 * dense
    cleft += np.float32(plan.stroma_density)
    if plan.retraction_um > 0:
        gap = look_up(smooth_texture(6.0, 3), v * 0.5, u * 0.5)
        cleft -= 1.9 * np.exp(-((near / plan.retraction_um) ** 2)) * (gap > -0.2)
    solid = np.clip(cleft * 2.2, 0, 1)
    solid *= ground.cover(ground.outline[where])
    if ground.is_he:
        ground.lay(where, solid, 0.07, np.clip(collagen, 0.12, 1.1))
    else:
        ground.lay(where, solid, 0.04 + 0.35 * collagen, 0.012)
    _paint_fibroblasts(ground, where, across, along, solid)


def _paint_fibroblasts(
    ground: Ground, where: Select, across: Floats, along: Floats, solid: Floats
) -> None:
    seed = ground.terrain.recipe.seed * 64 + 21 + (0 if ground.is_he else 1)
    if not where.size:
        return
    row = np.floor(across / _SLOT_UM[0]).astype(np.int32)
    # rows are staggered, so that no columns show
    stagger = uniforms(seed, np.arange(row.min(), row.max() + 1), np.array([0]), 1)[0]
    shifted = along / _SLOT_UM[1] + stagger.ravel()[row - row.min()]
    col = np.floor(shifted).astype(np.int32)
    rows = np.arange(row.min(), row.max() + 1)[:, None]
    cols = np.arange(col.min(), col.max() + 1)[None, :]
    drawn = uniforms(seed + 3, rows, cols, 6).astype(np.float32)
    table = drawn.reshape(6, -1)
    slot = (row - rows[0, 0]) * np.int32(cols.size) + (col - cols[0, 0])
    half_v, half_u = (0.5 * side for side in _SLOT_UM)
    dv = (across - row * _SLOT_UM[0]).astype(np.float32) - np.float32(half_v)
    du = ((shifted - col) * _SLOT_UM[1]).astype(np.float32) - np.float32(half_u)
    dv -= (table[1].take(slot) - np.float32(0.5)) * np.float32(8.0)
    du -= (table[2].take(slot) - np.float32(0.5)) * np.float32(14.0)
    length = 4.5 + 5.0 * table[3].take(slot)
    width = 0.9 + 1.1 * table[4].take(slot) ** 2
    dv += (table[5].take(slot) - np.float32(0.5)) * 0.06 * du * du / length
    taper = 1 - (du / length) ** 2
    depth = width * taper - np.abs(dv)
    present = table[0].take(slot) < np.float32(0.33)
    hit = np.flatnonzero(present & (depth > -ground.mpp) & (solid > 0.3))
    grain = look_up(
        smooth_texture(3.0, 4),
        across[hit].astype(np.float32) * 5,
        along[hit].astype(np.float32) * 5,
    )
    ground.lay(
        where[hit],
        ground.cover(depth[hit]),
        0.85 + 0.2 * grain,
        0.3 if ground.is_he else 0.0,
        NucleusKind.FIBROBLAST,
    )


def find_fat(ground: Ground, where: Select, box: BoxUm) -> tuple[Select, Floats]:
    """Find the pixels of adipocytes, and how far each is from its cell's border."""
    seed = ground.terrain.recipe.seed * 64 + 23
    lattice = Lattice(FAT_PITCH_UM, 0.9 + seed % 5, box)
    drawn = lattice.draw(seed, 4)
    lattice.settle(drawn[0], drawn[1], 0.3)
    is_fat = ground.terrain.fat(*lattice.points_um()) > 0
    if not where.size or not is_fat.any():
        return where[:0], np.zeros(0, np.float32)
    y, x = ground.y_um[where], ground.x_um[where]
    y32, x32 = y.astype(np.float32), x.astype(np.float32)
    soft = smooth_texture(40.0, 5)
    v, u = lattice.to_lattice(
        y + 2.5 * look_up(soft, y32 * 3.3, x32 * 3.3),
        x + 2.5 * look_up(soft, x32 * 3.3 + 400, y32 * 3.3),
    )
    near = lattice.nearest(v, u, 0.2 * drawn[2])
    away = np.sqrt(near.dv**2 + near.du**2)
    edge = np.minimum(near.border, FAT_PITCH_UM * 0.62 - away)
    # tumour and ducts keep a cuff of fibrous tissue
    cuff = np.maximum(ground.nest[where] + 4, ground.duct[where] + 9)
    edge = np.minimum(edge, -cuff)
    inside = is_fat.take(near.first) & (edge > 0)
    return where[inside], edge[inside]


def paint_fat(ground: Ground, where: Select, edge: Floats) -> None:
    """Lay adipocytes: empty, with thin septa."""
    y32 = ground.y_um[where].astype(np.float32)
    x32 = ground.x_um[where].astype(np.float32)
    strand = look_up(smooth_texture(6.0, 2), y32 * 0.6, x32 * 0.6)
    grain = look_up(smooth_texture(3.0, 4), y32 * 4, x32 * 4)
    width = 0.8 + 0.35 * strand + 2.0 * np.clip(strand - 1.3, 0, 1)
    septum = ground.cover(np.maximum(width, 0.35) - edge)
    septum *= ground.cover(ground.outline[where])
    ground.h[where] = (0.06 if ground.is_he else 0.15) * septum
    ground.second[where] = (0.45 + 0.08 * grain if ground.is_he else 0.01) * septum


def lymphocytes(
    terrain: Terrain, box: BoxUm, below: bool
) -> tuple[Lattice, NDArray[np.bool_], Floats]:
    """Place lymphocytes: the lattice, which are there, a number in [0, 1) of each."""
    seed = terrain.recipe.seed * 64 + 25 + below
    lattice = Lattice(LYMPHOCYTE_PITCH_UM, 0.2 + seed % 3, box)
    drawn = lattice.draw(seed, 4)
    lattice.settle(drawn[0], drawn[1], 0.3)
    y, x = lattice.points_um()
    density = terrain.sample("lymph", y, x)
    free = terrain.sample("nest", y, x) < np.where(drawn[3] < 0.04, 30.0, -3.0)
    free &= terrain.sample("duct", y, x) < -4.0
    free &= terrain.sample("outline", y, x) > 5.0
    free &= (terrain.fat(y, x) < 0.1) | (drawn[3] > 0.8)
    chance = np.clip(0.06 + 0.7 * (density + 0.2), 0.012, 0.93)
    return lattice, free & (drawn[2] < chance), drawn[3]


def paint_lymphocytes(ground: Ground, where: Select, box: BoxUm) -> None:
    """Lay small dark round nuclei where lymphocytes are."""
    if not where.size:
        return
    lattice, present, drawn = lymphocytes(ground.terrain, box, not ground.is_he)
    v, u = lattice.to_lattice(ground.y_um[where], ground.x_um[where])
    near = lattice.nearest(v, u, np.zeros(present.size))
    there = np.flatnonzero(present.take(near.first))
    at = near.first[there]
    dv, du = near.dv[there], near.du[there]
    texture = smooth_texture(3.0, 4)
    own = drawn.astype(np.float32).take(at)
    shift = own * 1024
    lump = look_up(texture, dv * 2 + shift, du * 2)
    grain = look_up(texture, dv * 4.5 + shift, du * 4.5)
    inside = 2.35 + 1.1 * own + 0.25 * lump - np.sqrt(dv * dv + du * du)
    inside = np.minimum(inside, near.border[there] - 0.1)
    hit = np.flatnonzero(inside > -ground.mpp)
    ground.lay(
        where[there[hit]],
        ground.cover(inside[hit]),
        1.25 + 0.3 * grain[hit],
        0.25 if ground.is_he else 0.0,
        NucleusKind.LYMPHOCYTE,
    )
