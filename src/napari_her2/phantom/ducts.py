"""Round structures with a wall: ducts, in-situ carcinoma, lobules, vessels.

Each is a closed outline given by its centre and a few angular harmonics, found
on a coarse jittered lattice; within one structure a point has a depth below the
outline and an angle, in which the layers of its wall are laid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from napari_her2.core.geometry import BoxUm
from napari_her2.phantom.noise import Floats
from napari_her2.phantom.parameters import PhantomRecipe


class DuctKind(IntEnum):
    """What a round structure is."""

    NORMAL = 0
    IN_SITU = 1
    ACINUS = 2
    VESSEL = 3


class Growth(IntEnum):
    """How in-situ carcinoma fills its duct."""

    SOLID = 0
    CRIBRIFORM = 1
    COMEDO = 2


@dataclass(frozen=True, slots=True)
class Duct:
    """One structure: centre and mean radius in µm, harmonics 2 to 6 of its rim.

    ``her2`` in [0, 1] is the HER2 level of an in-situ duct.
    """

    kind: DuctKind
    y_um: float
    x_um: float
    radius_um: float
    harmonics: tuple[tuple[float, float], ...]
    seed: int
    growth: Growth = Growth.SOLID
    her2: float = 0.0

    @property
    def reach_um(self) -> float:
        """Radius of a circle that holds the whole outline."""
        return self.radius_um * (1 + sum(abs(a) + abs(b) for a, b in self.harmonics))

    def polar(self, y_um: Floats, x_um: Floats) -> tuple[Floats, Floats]:
        """Depth below the outline (µm, negative outside) and angle of points."""
        dy, dx = y_um - self.y_um, x_um - self.x_um
        angle = np.arctan2(dy, dx)
        rim = np.ones_like(angle)
        for order, (a, b) in enumerate(self.harmonics, start=2):
            rim += a * np.cos(order * angle) + b * np.sin(order * angle)
        return rim * self.radius_um - np.hypot(dy, dx), angle

    def outline_um(self, n: int = 72) -> Floats:
        """Return the outline as a polygon of ``n`` points, shape (n, 2) (y, x)."""
        angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
        rim = np.ones(n)
        for order, (a, b) in enumerate(self.harmonics, start=2):
            rim += a * np.cos(order * angle) + b * np.sin(order * angle)
        rim *= self.radius_um
        return np.column_stack(
            [self.y_um + rim * np.sin(angle), self.x_um + rim * np.cos(angle)]
        )


def ducts_near(recipe: PhantomRecipe, box: BoxUm) -> list[Duct]:
    """Return every structure that may reach into a box of the H&E frame."""
    pitch = recipe.architecture.duct_pitch_um
    rows = range(int((box.y0) // pitch) - 1, int(box.y1 // pitch) + 2)
    cols = range(int((box.x0) // pitch) - 1, int(box.x1 // pitch) + 2)
    return [
        duct
        for row in rows
        for col in cols
        for duct in _ducts_of_cell(recipe, row, col)
        if duct.y_um + duct.reach_um > box.y0
        and duct.y_um - duct.reach_um < box.y1
        and duct.x_um + duct.reach_um > box.x0
        and duct.x_um - duct.reach_um < box.x1
    ]


def _harmonics(
    rng: np.random.Generator, strength: float
) -> tuple[tuple[float, float], ...]:
    return tuple(
        (
            float(rng.normal(0, strength / order)),
            float(rng.normal(0, strength / order)),
        )
        for order in range(2, 7)
    )


@lru_cache(maxsize=4096)
def _ducts_of_cell(recipe: PhantomRecipe, row: int, col: int) -> tuple[Duct, ...]:
    """Draw the structures of one cell of the coarse lattice."""
    plan = recipe.architecture
    # lattice rows may be negative near the border; entropy may not
    rng = np.random.default_rng([recipe.seed, 4, row + 2**20, col + 2**20])
    pitch = plan.duct_pitch_um
    y, x = (np.array([row, col]) + rng.uniform(0.25, 0.75, 2)) * pitch
    found: list[Duct] = []
    kind = rng.uniform()
    limits = np.cumsum([plan.in_situ_share, plan.normal_duct_share, plan.lobule_share])
    if kind < limits[0]:
        radius = float(np.clip(rng.lognormal(np.log(115), 0.4), 60, 0.24 * pitch))
        found.append(
            Duct(
                DuctKind.IN_SITU,
                float(y),
                float(x),
                radius,
                _harmonics(rng, 0.10),
                int(rng.integers(2**31)),
                Growth(int(rng.integers(3))),
                float(np.clip(rng.beta(2, 1.3), 0, 1)),
            )
        )
    elif kind < limits[1]:
        radius = float(np.clip(rng.lognormal(np.log(42), 0.35), 24, 90))
        found.append(
            Duct(
                DuctKind.NORMAL,
                float(y),
                float(x),
                radius,
                _harmonics(rng, 0.16),
                int(rng.integers(2**31)),
            )
        )
    elif kind < limits[2]:
        found.extend(_lobule(rng, float(y), float(x)))
    for _ in range(int(rng.poisson(4 * plan.vessel_share))):
        vy, vx = (np.array([row, col]) + rng.uniform(0, 1, 2)) * pitch
        vessel = Duct(
            DuctKind.VESSEL,
            float(vy),
            float(vx),
            float(np.clip(rng.lognormal(np.log(11), 0.5), 6, 45)),
            _harmonics(rng, 0.22),
            int(rng.integers(2**31)),
        )
        clear = all(
            np.hypot(d.y_um - vy, d.x_um - vx) > d.reach_um + vessel.reach_um + 10
            for d in found
        )
        if clear:
            found.append(vessel)
    return tuple(found)


def _lobule(rng: np.random.Generator, y: float, x: float) -> list[Duct]:
    """Draw a cluster of acini that do not touch."""
    acini: list[Duct] = []
    for _ in range(60):
        angle, distance = rng.uniform(0, 2 * np.pi), 120 * np.sqrt(rng.uniform())
        acinus = Duct(
            DuctKind.ACINUS,
            y + float(distance * np.sin(angle)),
            x + float(distance * np.cos(angle)),
            float(rng.uniform(15, 25)),
            _harmonics(rng, 0.12),
            int(rng.integers(2**31)),
        )
        if all(
            np.hypot(o.y_um - acinus.y_um, o.x_um - acinus.x_um)
            > o.radius_um + acinus.radius_um + 6
            for o in acini
        ):
            acini.append(acinus)
    return acini
