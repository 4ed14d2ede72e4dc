"""Carcinoma cells: where they lie, how they look, what HER2 they carry.

One lattice of cells fills nests and in-situ ducts; a cell belongs to what its
point lies in, so that outlines are made of whole cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from napari_her2.core.geometry import BoxUm
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.score import Stain
from napari_her2.phantom.ducts import Duct, DuctKind, Growth
from napari_her2.phantom.lattice import Lattice
from napari_her2.phantom.noise import Floats, fractal_noise
from napari_her2.phantom.terrain import Terrain

Bools = NDArray[np.bool_]

MYOEPITHELIUM_UM = 4.0
HOLE_PITCH_UM = 48.0


class CellKind(IntEnum):
    """What a lattice cell of the epithelium is."""

    NONE = 0
    INVASIVE = 1
    IN_SITU = 2
    LUMEN = 3
    NECROSIS = 4


_PEAK_OD = np.array(
    [(0.0, 0.03), (0.06, 0.14), (0.32, 0.70), (0.18, 0.60), (0.65, 1.40)]
)
_COMPLETENESS = np.array(
    [(0.0, 0.1), (0.25, 0.7), (0.3, 0.7), (0.95, 1.0), (0.97, 1.0)]
)


@dataclass(frozen=True, slots=True)
class Nuclei:
    """Outlines and texture of nuclei, one value per cell; lengths in µm."""

    centre_v: Floats
    centre_u: Floats
    semi_a: Floats
    semi_b: Floats
    angle: Floats
    bend: Floats
    density: Floats
    vesicular: Floats
    grain: Floats
    mitotic: Bools
    nucleolus_v: Floats
    nucleolus_u: Floats
    nucleolus_um: Floats


@dataclass(frozen=True, slots=True)
class Her2:
    """Membrane staining, one value per cell.

    ``peak_od`` is the DAB density of the ring before blur; the ring is stained
    where the sum of its angular ``waves`` (6, n) exceeds ``cutoff``.
    """

    pattern: NDArray[np.int8]
    peak_od: Floats
    completeness: Floats
    cutoff: Floats
    waves: Floats
    blush_od: Floats


class Epithelium:
    """The carcinoma cells around a box of one section, in the H&E frame.

    ``kind`` holds a :class:`CellKind` per lattice cell. Only cells whose point
    lies in the box, or next to it, are exact.
    """

    def __init__(self, terrain: Terrain, box: BoxUm, stain: Stain) -> None:
        recipe = self.recipe = terrain.recipe
        look = recipe.cytology
        seed = recipe.seed * 64 + 5
        self.lattice = Lattice(look.cell_pitch_um, 0.37 + recipe.seed % 7, box)
        drawn = self.lattice.draw(seed, 40)
        offset = recipe.offset
        if stain is Stain.IHC and offset.depth_um > 0:
            others = self.lattice.draw(seed + 1, 40)
            below = self.lattice.draw(seed + 2, 4)
            stays = below[0] < offset.persistence
            drawn = np.where(stays, drawn, others)
            # the same nucleus, cut 4 µm deeper: up to 2 µm away, another size
            step, way = 2.0 / look.cell_pitch_um * below[1], 2 * np.pi * below[2]
            drawn[0] += np.where(stays, step * np.sin(way), 0)
            drawn[1] += np.where(stays, step * np.cos(way), 0)
            drawn[2] = np.where(stays, 0.5 * drawn[2] + 0.5 * below[3], drawn[2])
        self.lattice.settle(drawn[0], drawn[1], 0.3)
        self.y_um, self.x_um = self.lattice.points_um()
        self.kind, duct_her2 = self._kinds(terrain)
        self.reach = 0.10 * (drawn[3] - 0.5) * (1 + 2 * look.nuclear_area_cv)
        self.eosin = 0.8 + 0.4 * drawn[4]
        self.uniform = drawn[5]
        self.radius_um = look.cell_pitch_um * (0.66 + 0.2 * drawn[6])
        self.radius_um[self.kind == CellKind.IN_SITU] += look.cell_pitch_um
        self._drawn = drawn
        self._duct_her2 = duct_her2
        self._terrain = terrain

    def _kinds(self, terrain: Terrain) -> tuple[NDArray[np.int8], Floats]:
        y, x = self.y_um, self.x_um
        kind = np.zeros(y.shape, np.int8)
        her2 = np.zeros(y.shape)
        nest = terrain.sample("nest", y, x)
        kind[nest > 0] = CellKind.INVASIVE
        if (nest > 0).any():
            lumen = (nest > 9) & (terrain.sample("gland", y, x) > 0.25)
            kind[lumen] = CellKind.LUMEN
        for duct in terrain.ducts:
            if duct.kind is not DuctKind.IN_SITU:
                continue
            close = np.flatnonzero(
                np.hypot(y - duct.y_um, x - duct.x_um) < duct.reach_um
            )
            if not close.size:
                continue
            depth, _ = duct.polar(y[close], x[close])
            inside, depth = close[depth > 0], depth[depth > 0]
            inside_tissue = terrain.sample("outline", y[inside], x[inside]) > 0
            inside, depth = inside[inside_tissue], depth[inside_tissue]
            kind[inside] = _in_situ_kinds(duct, depth, y[inside], x[inside])
            her2[inside] = duct.her2
        return kind, her2

    def nuclei(self) -> Nuclei:
        """Shape the nuclei."""
        look, drawn = self.recipe.cytology, self._drawn
        pitch = look.cell_pitch_um
        spread = np.sqrt(np.log1p(look.nuclear_area_cv**2))
        normal = ndtri(np.clip(drawn[7], 1e-4, 1 - 1e-4))
        area = np.exp(spread * normal - spread**2 / 2)
        cut = np.sqrt(1 - (0.75 * drawn[2]) ** 2)
        diameter = look.nuclear_diameter_um * np.sqrt(area) * (0.35 + 0.7 * cut)
        # some cells are cut beside their nucleus
        diameter = np.where(drawn[8] < 0.05, 0.1, diameter)
        elongation = 1 + (look.nuclear_elongation - 1) * 2.2 * drawn[9] ** 1.5
        mitotic = drawn[10] < look.mitoses_share
        elongation = np.where(mitotic, 2.6, elongation)
        spot = 2 * np.pi * drawn[11]
        off = 0.5 * diameter * np.sqrt(drawn[12]) * 0.55
        return Nuclei(
            centre_v=pitch * 0.22 * (drawn[13] - 0.5),
            centre_u=pitch * 0.22 * (drawn[14] - 0.5),
            semi_a=0.5 * diameter * np.sqrt(elongation),
            semi_b=0.5 * diameter / np.sqrt(elongation),
            angle=np.pi * drawn[15],
            bend=look.nuclear_irregularity * 0.7 * (drawn[16] - 0.5),
            density=np.where(mitotic, 2.0, 0.72 + 0.56 * drawn[17]),
            vesicular=np.clip(look.vesicularity + 0.5 * (drawn[18] - 0.5), 0, 1),
            grain=drawn[19],
            mitotic=mitotic,
            nucleolus_v=off * np.sin(spot),
            nucleolus_u=off * np.cos(spot),
            nucleolus_um=np.where(
                drawn[20] < 0.75, look.nucleolus_um * (0.3 + 0.4 * drawn[21]), 0.0
            ),
        )

    def her2(self) -> Her2:
        """Give every cell its membrane pattern; cells without tumour get none."""
        plan, drawn = self.recipe.membranes, self._drawn
        shares = plan.shares
        own = ndtri(np.clip(drawn[22], 1e-7, 1 - 1e-7))
        cluster = self._terrain.sample("her2", self.y_um, self.x_um)
        mix = np.sqrt(plan.clustering) * cluster + np.sqrt(1 - plan.clustering) * own
        limits = np.cumsum(
            [
                shares.complete_intense,
                shares.complete_weak_moderate,
                shares.incomplete_moderate_intense,
                shares.faint_incomplete,
            ]
        )
        rank = 1 - ndtr(mix)
        pattern = 4 - np.searchsorted(limits, rank, side="right").astype(np.int8)
        in_situ = self.kind == CellKind.IN_SITU
        level = self._duct_her2 + plan.in_situ_gain * 0.5 + 0.12 * own
        ladder = np.array([4, 3, 3, 1, 0], np.int8)
        pattern = np.where(
            in_situ,
            ladder[4 - np.searchsorted([0.35, 0.55, 0.7, 0.95], level)],
            pattern,
        )
        pattern[(self.kind != CellKind.INVASIVE) & ~in_situ] = MembranePattern.NONE
        low, high = _PEAK_OD[pattern].T
        spread = np.exp(plan.overlap * ndtri(np.clip(drawn[23], 0.01, 0.99)))
        peak = (low + (high - low) * drawn[24]) * np.where(pattern > 0, spread, 1)
        low, high = _COMPLETENESS[pattern].T
        completeness = low + (high - low) * drawn[25]
        waves = ndtri(np.clip(drawn[26:32], 0.02, 0.98))
        waves *= np.array([0.55, 0.55, 0.5, 0.5, 0.35, 0.35])[:, None]
        return Her2(
            pattern=pattern.astype(np.int8),
            peak_od=peak,
            completeness=completeness,
            cutoff=-ndtri(np.clip(completeness, 0.02, 0.995)),
            waves=waves,
            blush_od=plan.blush_od * (0.5 + drawn[32]) + 0.12 * peak,
        )


def depth_in_holes(duct: Duct, y_um: Floats, x_um: Floats) -> Floats:
    """How far points lie inside the punched-out holes of a cribriform duct, µm."""
    box = BoxUm(
        duct.y_um - duct.reach_um,
        duct.x_um - duct.reach_um,
        duct.y_um + duct.reach_um,
        duct.x_um + duct.reach_um,
    )
    lattice = Lattice(HOLE_PITCH_UM, duct.seed % 6, box)
    drawn = lattice.draw(duct.seed, 3)
    lattice.settle(drawn[0], drawn[1], 0.4)
    near = lattice.nearest(*lattice.to_lattice(y_um, x_um), np.zeros(drawn.shape[1]))
    radius = np.where(drawn[2] < 0.85, 9 + 11 * drawn[2], -9).astype(np.float32)
    away = np.sqrt(near.dv**2 + near.du**2)
    return np.minimum(radius.take(near.first) - away, near.border - 5)


def _in_situ_kinds(duct: Duct, depth: Floats, y: Floats, x: Floats) -> NDArray[np.int8]:
    kind = np.full(depth.shape, CellKind.IN_SITU, np.int8)
    if duct.growth is Growth.CRIBRIFORM:
        kind[(depth_in_holes(duct, y, x) > 3) & (depth > 12)] = CellKind.LUMEN
    if duct.growth is Growth.COMEDO:
        ragged = 6 * fractal_noise(duct.seed % 99991, y, x, 40.0, 2)
        kind[depth + ragged > max(30.0, 0.5 * duct.radius_um)] = CellKind.NECROSIS
    return kind
