"""What the network said about one tile, and what the store knows of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm, Evidence, GateVerdict

UNFAMILIAR_DISTANCE: Final = 1.0
"""A tile farther than this from all that the bundle knows takes part in nothing."""


class TileState(IntEnum):
    """What the store knows of a tile; from BOTH on its results are there."""

    MISSING = 0
    BACKGROUND = 1
    BOTH = 2
    HE_ONLY = 3
    IHC_ONLY = 4

    @classmethod
    def of(cls, evidence: Evidence) -> TileState:
        """Return the state of a tile whose result rests on ``evidence``."""
        return cls[evidence.name]

    @property
    def evidence(self) -> Evidence | None:
        """What a result rests on, None where there is none."""
        return Evidence[self.name] if self >= TileState.BOTH else None


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """What the network said about one tile.

    Parameters
    ----------
    evidence
        The images it saw.
    arm
        What of them, and of what it reconstructed, it scored.
    probabilities
        (K,) over the classes of the bundle, sum 1, calibrated where it can.
    attention
        (a, a) weighted activation of the strongest channels over the core.
    channel_weights
        (C,) weights of the channel attention, 0 to 1.
    branch_share
        Share of the H&E branch, 0 to 1.
    synthetic
        (3, core, core) uint8, the IHC made from H&E or the H&E made from IHC; None
        where nothing was made or nothing may be shown.
    gate
        Why the reconstruction was used or not, None where nothing was decided.
    distance
        How unfamiliar the tile is, 1 at the threshold; NaN where nobody can tell.
    """

    evidence: Evidence
    arm: Arm
    probabilities: NDArray[np.float32]
    attention: NDArray[np.float32]
    channel_weights: NDArray[np.float32]
    branch_share: float
    synthetic: NDArray[np.uint8] | None = None
    gate: GateVerdict | None = None
    distance: float = math.nan
