"""What the network said about one tile, and what the store knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Evidence


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
    probabilities
        (K,) over the classes of the bundle, sum 1.
    attention
        (a, a) weighted activation of the strongest channels over the core.
    channel_weights
        (C,) weights of the channel attention, 0 to 1.
    branch_share
        Share of the H&E branch, 0 to 1.
    synthetic_ihc
        (3, core, core) uint8, or None where nothing was synthesised.
    """

    evidence: Evidence
    probabilities: NDArray[np.float32]
    attention: NDArray[np.float32]
    channel_weights: NDArray[np.float32]
    branch_share: float
    synthetic_ihc: NDArray[np.uint8] | None
