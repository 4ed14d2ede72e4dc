"""Painting carcinoma: cytoplasm, nuclei with chromatin, membranes with HER2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_her2.phantom.cells import (
    MYOEPITHELIUM_UM,
    CellKind,
    Epithelium,
    Her2,
    Nuclei,
    depth_in_holes,
)
from napari_her2.phantom.ducts import Growth
from napari_her2.phantom.ground import Ground, NucleusKind, Select
from napari_her2.phantom.noise import Floats, look_up, smooth_texture


def paint_carcinoma(ground: Ground, cells: Epithelium, where: Select) -> None:
    """Lay the cells of nests and in-situ ducts over what is there."""
    if not where.size or not cells.kind.any():
        return
    y, x = ground.y_um[where], ground.x_um[where]
    y32, x32 = y.astype(np.float32), x.astype(np.float32)
    soft = smooth_texture(5.0, 6)
    # cell borders are wavy, not polygons
    v, u = cells.lattice.to_lattice(
        y + 0.55 * look_up(soft, y32 * 3.1, x32 * 3.1),
        x + 0.55 * look_up(soft, x32 * 3.1 + 500, y32 * 3.1),
    )
    near = cells.lattice.nearest(v, u, cells.reach)
    kind = cells.kind.take(near.first)
    some = np.flatnonzero(kind)
    where, kind, at = where[some], kind[some], near.first[some]
    dv, du, border = near.dv[some], near.du[some], near.border[some]
    away = np.sqrt(dv * dv + du * du) + np.float32(1e-3)
    edge = np.minimum(border, _table(cells.radius_um, at) - away)
    edge = np.where(
        kind == CellKind.IN_SITU,
        np.minimum(edge, ground.duct[where] - np.float32(MYOEPITHELIUM_UM - 1)),
        edge,
    )
    # what belongs to one cell must not show in its neighbour: own texture place
    own = _table(cells.uniform * 1024, at)
    _paint_spaces(ground, where, kind)

    live = np.flatnonzero((kind <= CellKind.IN_SITU) & (edge > -ground.mpp))
    where, at, edge, own = where[live], at[live], edge[live], own[live]
    dv, du, away = dv[live], du[live], away[live]
    cover = ground.cover(edge + np.float32(0.25))
    grain = look_up(smooth_texture(4.0, 1), dv * 3.5 + own, du * 3.5 + 3 * own)
    eosin = _table(cells.eosin, at)
    if ground.is_he:
        line = np.exp(-((edge / np.float32(0.45)) ** 2))
        foam = look_up(smooth_texture(5.0, 6), dv * 2.6 + 5 * own, du * 2.6 + own)
        cytoplasm = eosin * (0.50 + 0.06 * grain + 0.07 * foam) + 0.14 * line
        ground.lay(where, cover, 0.20 + 0.03 * grain, cytoplasm)
    else:
        ground.lay(where, cover, 0.15 + 0.03 * grain, 0.0)
    whose = np.where(
        cells.kind == CellKind.IN_SITU, NucleusKind.IN_SITU, NucleusKind.INVASIVE
    ).astype(np.uint8)
    _paint_nuclei(ground, cells.nuclei(), whose, where, at, dv, du, edge, own)
    if not ground.is_he:
        _stain_membranes(ground, cells.her2(), where, at, dv, du, away, edge, grain)


def _table(values: Floats, at: NDArray[np.int32]) -> Floats:
    result: Floats = values.astype(np.float32).take(at)
    return result


def _paint_spaces(
    ground: Ground,
    where: Select,
    kind: NDArray[np.int8],
) -> None:
    lumen = np.flatnonzero(kind == CellKind.LUMEN)
    at = where[lumen]
    y, x = ground.y_um[at].astype(np.float32), ground.x_um[at].astype(np.float32)
    secret = look_up(smooth_texture(6.0, 2), y * 0.8, x * 0.8)
    # the smooth wall of a gland is the cytoplasm of the cells around it
    wall = np.where(ground.nest[at] > 0, ground.field("gland")[at] * 18, 3.0)
    for duct in ground.terrain.ducts:
        if duct.growth is Growth.CRIBRIFORM:
            y64, x64 = ground.y_um[at], ground.x_um[at]
            mine = np.hypot(y64 - duct.y_um, x64 - duct.x_um) < duct.reach_um
            if mine.any():
                wall[mine] = depth_in_holes(duct, y64[mine], x64[mine])
    apical = ground.cover(-wall + 0.6 * secret)
    empty = np.clip(0.05 + 0.08 * (secret - 1), 0, 0.3)
    ground.lay(
        at,
        np.ones(lumen.size, np.float32),
        0.01 + 0.15 * apical,
        (empty + 0.45 * apical) if ground.is_he else 0.0,
    )
    dead = np.flatnonzero(kind == CellKind.NECROSIS)
    if not dead.size:
        return
    y = ground.y_um[where[dead]].astype(np.float32)
    x = ground.x_um[where[dead]].astype(np.float32)
    grain = look_up(smooth_texture(4.0, 1), y * 3, x * 3)
    lump = look_up(smooth_texture(6.0, 2), y * 0.7, x * 0.7)
    dust = np.clip(look_up(smooth_texture(4.0, 7), y * 4, x * 4) - 1.9, 0, 1)
    ground.lay(
        where[dead],
        np.ones(dead.size, np.float32),
        0.10 + 1.3 * dust,
        np.clip(0.62 + 0.12 * grain + 0.16 * lump, 0.05, 1.2)
        * (1.0 if ground.is_he else 0.06),
    )


def _paint_nuclei(
    ground: Ground,
    nuclei: Nuclei,
    whose: NDArray[np.uint8],
    where: Select,
    at: NDArray[np.int32],
    dv: Floats,
    du: Floats,
    edge: Floats,
    own: Floats,
) -> None:
    nv = dv - _table(nuclei.centre_v, at)
    nu = du - _table(nuclei.centre_u, at)
    semi_a = _table(nuclei.semi_a, at)
    close = np.flatnonzero(nv * nv + nu * nu < (1.25 * semi_a + 1) ** 2)
    where, at, edge, own = where[close], at[close], edge[close], own[close]
    nv, nu, semi_a = nv[close], nu[close], semi_a[close]
    semi_b = _table(nuclei.semi_b, at)
    cos, sin = _table(np.cos(nuclei.angle), at), _table(np.sin(nuclei.angle), at)
    p = cos * nv + sin * nu
    q = cos * nu - sin * nv
    q += _table(nuclei.bend, at) * (p * p / semi_a - np.float32(0.4) * semi_a)
    lump = look_up(smooth_texture(5.0, 6), nv * 1.9 + own, nu * 1.9 + 5 * own)
    radius = np.sqrt((p / semi_a) ** 2 + (q / semi_b) ** 2)
    radius += np.float32(0.065) * lump
    inside = (1 - radius) * np.sqrt(semi_a * semi_b)
    # where a nucleus meets the membrane it rounds off instead of being cut
    room = edge - np.float32(0.4)
    inside = 0.5 * (inside + room - np.sqrt((inside - room) ** 2 + np.float32(1.5)))
    inside += np.float32(0.3)
    hit = np.flatnonzero(inside > -ground.mpp)
    where, at, own, inside = where[hit], at[hit], own[hit], inside[hit]
    nv, nu = nv[hit], nu[hit]
    clumping = np.float32(ground.terrain.recipe.cytology.chromatin_clumping)
    texture = smooth_texture(3.0, 4)
    fine = look_up(texture, nv * 5.0 + 7 * own, nu * 5.0 + own)
    coarse = look_up(smooth_texture(5.0, 6), nv * 4.0 + 3 * own, nu * 4.0 + 2 * own)
    vesicular = _table(nuclei.vesicular, at)
    rim = np.exp(-((inside / np.float32(0.55)) ** 2))
    chromatin = 0.9 - 0.55 * vesicular + (0.1 + 0.65 * vesicular) * rim
    chromatin += clumping * (0.2 * fine + 0.26 * coarse)
    spot_v = nv - _table(nuclei.nucleolus_v, at)
    spot_u = nu - _table(nuclei.nucleolus_u, at)
    spot = _table(nuclei.nucleolus_um, at) - np.sqrt(spot_v**2 + spot_u**2)
    nucleolus = np.clip(spot * 2 + 0.5, 0, 1)
    chromatin += 0.75 * nucleolus
    plate = nuclei.mitotic.take(at)
    chromatin = np.where(plate, 1 + 0.2 * fine, np.clip(chromatin, 0.12, 2))
    ground.lay(
        where,
        ground.cover(inside),
        _table(nuclei.density, at) * chromatin,
        (0.25 + 0.3 * nucleolus) if ground.is_he else 0.0,
        whose.take(at),
    )


def _stain_membranes(
    ground: Ground,
    her2: Her2,
    where: Select,
    at: NDArray[np.int32],
    dv: Floats,
    du: Floats,
    away: Floats,
    edge: Floats,
    grain: Floats,
) -> None:
    """Add DAB: a ring of varying strength, and a blush of the cytoplasm."""
    nuclear = np.clip(1.6 * (ground.h[where] - 0.25), 0, 1)
    blush = _table(her2.blush_od, at) * (1 + 0.25 * grain) * (1 - 0.85 * nuclear)
    ground.second[where] += np.clip(blush, 0, None)
    peak = _table(her2.peak_od, at)
    ring = np.flatnonzero((edge < 2.2) & (peak > 0.01))
    if not ring.size:
        return
    where, at, edge, grain = where[ring], at[ring], edge[ring], grain[ring]
    peak = peak[ring]
    c, s = du[ring] / away[ring], dv[ring] / away[ring]
    c2, s2 = 2 * c * c - 1, 2 * s * c
    waves = her2.waves
    around = _table(waves[0], at) * c + _table(waves[1], at) * s
    around += _table(waves[2], at) * c2 + _table(waves[3], at) * s2
    around += _table(waves[4], at) * (c * c2 - s * s2)
    around += _table(waves[5], at) * (s * c2 + c * s2)
    y = ground.y_um[where].astype(np.float32)
    x = ground.x_um[where].astype(np.float32)
    patchy = look_up(smooth_texture(5.0, 6), y * 2.4 + 77, x * 2.4)
    stained = (around + 0.4 * patchy - _table(her2.cutoff, at)) * 4 + 0.5
    half_um = np.float32(0.5 * ground.terrain.recipe.membranes.width_um)
    width = half_um * (1 + 0.22 * np.clip(patchy, -1.5, 2.0))
    ring_od = np.exp(-((np.maximum(edge, 0) / width) ** 2))
    ring_od *= peak * np.clip(stained, 0, 1) * (0.85 + 0.15 * np.tanh(grain))
    ground.second[where] += ring_od
