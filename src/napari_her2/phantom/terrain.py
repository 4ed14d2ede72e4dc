"""Where each kind of tissue lies: slow fields on a coarse lattice of nodes.

The fields are functions of (seed, place, depth); nodes lie every 4 µm at fixed
places, so that every box interpolates the same values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxUm
from napari_her2.phantom.ducts import DuctKind, ducts_near
from napari_her2.phantom.noise import Floats, fractal_noise
from napari_her2.phantom.parameters import PhantomRecipe

NODE_UM = 4.0
MARGIN_UM = 60.0
FAR_UM = 1e3
_PER_UM_OF_DEPTH = 0.035
"""How fast the nests change with depth, in radians per µm."""


def quantile(share: float) -> float:
    """Level that a field of about unit variance exceeds over ``share``."""
    share = min(max(share, 1e-4), 1 - 1e-4)
    # logistic approximation of the normal quantile, good to 0.02 here
    return -math.log(share / (1 - share)) / 1.702


@dataclass(frozen=True, slots=True)
class Spots:
    """Points among the nodes: flat index of the corner, way down and along."""

    corner: NDArray[np.int32]
    down: Floats
    along: Floats


class Terrain:
    """Tissue fields over one box of the H&E frame, at one depth of the block.

    These fields are sampled at points by :meth:`sample`, each drawn when
    first asked for: ``bed`` (above 0 in the tumour bed),
    ``outline`` (µm inside the tissue's edge), ``nest`` (µm inside invasive
    nests, negative outside), ``duct`` (µm inside the nearest round structure),
    ``lymph`` (above 0 in crowds), ``gland`` (above 0 in tubular
    lumina), ``her2`` (standard normal, clusters of HER2), ``dense`` (collagen),
    ``thick`` (relative section thickness), ``focus`` (defocus, about -1 to 1),
    ``fibre_y`` and ``fibre_x`` (displacement of the fibre pattern in µm).
    """

    def __init__(self, recipe: PhantomRecipe, box: BoxUm, depth_um: float) -> None:
        self.recipe = recipe
        # fibres run their own way in every slide
        self._grain = 2.4 * recipe.seed
        self._turn = _PER_UM_OF_DEPTH * depth_um
        self._row0 = math.floor((box.y0 - MARGIN_UM) / NODE_UM)
        self._col0 = math.floor((box.x0 - MARGIN_UM) / NODE_UM)
        rows = np.arange(self._row0, math.ceil((box.y1 + MARGIN_UM) / NODE_UM) + 2)
        cols = np.arange(self._col0, math.ceil((box.x1 + MARGIN_UM) / NODE_UM) + 2)
        self._y, self._x = rows[:, None] * NODE_UM, cols[None, :] * NODE_UM
        reach = 80 + MARGIN_UM
        self.ducts = ducts_near(
            recipe,
            BoxUm(box.y0 - reach, box.x0 - reach, box.y1 + reach, box.x1 + reach),
        )
        self._nodes: dict[str, Floats] = {}

    def spots(self, y_um: Floats, x_um: Floats) -> Spots:
        """Find the nodes around points, clamped at the margin's edge."""
        height, width = self._y.size, self._x.size
        row = np.clip(y_um / NODE_UM - self._row0, 0, height - 1.001)
        col = np.clip(x_um / NODE_UM - self._col0, 0, width - 1.001)
        top, left = row.astype(np.int32), col.astype(np.int32)
        return Spots(
            top * np.int32(width) + left,
            (row - top).astype(np.float32),
            (col - left).astype(np.float32),
        )

    def at(self, name: str, spots: Spots) -> Floats:
        """Interpolate one field linearly at points that were found before."""
        nodes = self.nodes(name).ravel()
        corner = spots.corner
        left = nodes.take(corner)
        left += spots.down * (nodes.take(corner + np.int32(self._x.size)) - left)
        corner = corner + np.int32(1)
        right = nodes.take(corner)
        right += spots.down * (nodes.take(corner + np.int32(self._x.size)) - right)
        right -= left
        right *= spots.along
        left += right
        return left

    def sample(self, name: str, y_um: Floats, x_um: Floats) -> Floats:
        """Interpolate one field at points."""
        return self.at(name, self.spots(y_um, x_um))

    def may_hold(self, name: str, above: float) -> bool:
        """Whether a field rises above a level anywhere in the box."""
        return bool(self.nodes(name).max() > above)

    def nodes(self, name: str) -> Floats:
        """Values of one field at the nodes, drawn when first asked for."""
        if name not in self._nodes:
            drawn = getattr(self, f"_{name}")()
            self._nodes[name] = drawn.astype(np.float32)
        return self._nodes[name]

    def _field(self, salt: int, wavelength_um: float, octaves: int = 2) -> Floats:
        seed = self.recipe.seed * 64 + 11 + salt
        return fractal_noise(seed, self._y, self._x, wavelength_um, octaves)

    def _sinking(self, salt: int, wavelength_um: float, octaves: int = 2) -> Floats:
        """Draw a field that changes slowly with depth."""
        here = self._field(salt, wavelength_um, octaves)
        if not self._turn:
            return here
        below = self._field(salt + 32, wavelength_um, octaves)
        return math.cos(self._turn) * here + math.sin(self._turn) * below

    def _bed(self) -> Floats:
        plan = self.recipe.architecture
        return self._field(1, plan.bed_wavelength_um) - quantile(plan.bed_share)

    def _nest(self) -> Floats:
        plan = self.recipe.architecture
        wave = plan.nest_wavelength_um
        bed = self.nodes("bed")
        round_nests = self._sinking(2, wave, 3) - quantile(plan.nest_share)
        files = 0.75 - 2.2 * np.abs(self._sinking(3, wave * 1.3, 2))
        blend = np.clip(plan.cordness + 0.35 * self._field(4, 700.0, 1), 0, 1)
        nest = (round_nests * (1 - blend) + files * blend) * wave * 0.2
        # the bed's rim thins out instead of being cut
        nest = np.minimum(nest, 30 + 60 * bed) + np.minimum(bed, 0) * 80
        limit = np.minimum(self.nodes("outline") - 6, -self.nodes("duct") - 14)
        thinned: Floats = np.minimum(nest, limit)
        return thinned

    def fat(self, y_um: Floats, x_um: Floats) -> Floats:
        """Above 0 where fat lies; drawn at the points themselves, however far."""
        plan = self.recipe.architecture
        noise = fractal_noise(self.recipe.seed * 64 + 16, y_um, x_um, 420.0, 3)
        result: Floats = noise - quantile(plan.fat_share)
        return result

    def _lymph(self) -> Floats:
        rim = np.exp(-((self.nodes("nest") + 20) ** 2) / 900)
        density = self._field(6, 180.0, 3) + 0.7 * rim - 0.25
        return density - quantile(self.recipe.architecture.lymphocyte_share)

    def _gland(self) -> Floats:
        share = self.recipe.architecture.gland_share
        return self._sinking(7, 42.0, 2) - quantile(share)

    def _her2(self) -> Floats:
        return self._field(8, self.recipe.membranes.cluster_wavelength_um, 2)

    def _dense(self) -> Floats:
        return self._field(9, 160.0, 3)

    def _thick(self) -> Floats:
        return self._field(10, 900.0, 2) + 0.4 * self._field(13, 60.0, 2)

    def _focus(self) -> Floats:
        return self._field(14, 1500.0, 1)

    def _fibre_y(self) -> Floats:
        swirl = self.recipe.architecture.fibre_waviness
        wrap = np.clip(np.maximum(self.nodes("nest"), self.nodes("duct")), -45, 0)
        turned = (math.cos(self._grain) - 1) * self._y + math.sin(self._grain) * self._x
        moved: Floats = (
            turned
            + 26 * swirl * self._field(11, 230.0, 2)
            + 3.2 * self._field(15, 38.0, 2)
            + 240 * self._field(16, 1500.0, 1)
            + 0.6 * wrap
        )
        return moved

    def _fibre_x(self) -> Floats:
        turned = (math.cos(self._grain) - 1) * self._x - math.sin(self._grain) * self._y
        return turned + 60 * self._field(12, 400.0, 1)

    def _outline(self) -> Floats:
        """Depth in µm below the tissue's irregular edge."""
        y, x = self._y, self._x
        height, width = self.recipe.height_um, self.recipe.width_um
        seed = self.recipe.seed * 64 + 50
        half_y, half_x = height / 2, width / 2
        short = min(half_y, half_x)
        v, u = np.abs(y / half_y - 1), np.abs(x / half_x - 1)
        # a rounded rectangle in relative coordinates
        edge: Floats = (1 - (v**4 + u**4) ** 0.25) * short
        edge -= 0.09 * short
        edge += 0.07 * short * fractal_noise(seed, y, x, 0.9 * short, 2)
        edge += 9 * fractal_noise(seed + 1, y, x, 90.0, 3)
        return edge

    def _duct(self) -> Floats:
        y, x = np.broadcast_arrays(self._y, self._x)
        depth = np.full(y.shape, -FAR_UM)
        for duct in self.ducts:
            rows = np.abs(y[:, 0] - duct.y_um) < duct.reach_um + 80
            cols = np.abs(x[0] - duct.x_um) < duct.reach_um + 80
            if not (rows.any() and cols.any()):
                continue
            window = np.ix_(rows, cols)
            inside, _ = duct.polar(y[window], x[window])
            if duct.kind is DuctKind.VESSEL:
                inside = np.minimum(inside, 8.0)
            depth[window] = np.maximum(depth[window], inside)
        return depth
