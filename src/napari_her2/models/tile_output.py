"""What a network says of tiles, and what it asks for help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from napari_her2.core.records import Arm, GateVerdict
from napari_her2.core.score import Stain


@dataclass(frozen=True, slots=True)
class TileOutput:
    """Results for the cores of a batch of tiles.

    Images are (B, 3, core, core) uint8: ``synthetic_ihc`` whenever H&E was given,
    ``synthetic_he`` when only IHC was and the bundle can make it. ``logits``
    (B, K) are those of the ``arm`` used in each tile; ``attention`` (B, a, a) in
    [0, 1], a = core / 32; ``channel_weights`` (B, C) in (0, 1); ``branch_share``
    (B,), share of the H&E branch in [0, 1]. ``gate`` says of each tile why the
    reconstruction was used or not, None where there was nothing to decide.
    ``distance`` (B,) is how unfamiliar the tile is, 1 at the threshold, NaN when
    the bundle cannot tell.
    """

    synthetic_ihc: Tensor | None
    synthetic_he: Tensor | None
    logits: Tensor
    attention: Tensor
    channel_weights: Tensor
    branch_share: Tensor
    arm: tuple[Arm, ...]
    gate: tuple[GateVerdict | None, ...]
    distance: Tensor


class ReconstructionGate(Protocol):
    """What the network needs of a gate: ``models.gate.Gate`` is one."""

    def decide(
        self,
        embedding_observed: Tensor,
        embedding_with: Tensor,
        observed: Stain,
        real: Tensor | None = None,
        reconstruction: Tensor | None = None,
    ) -> tuple[GateVerdict, ...]:
        """Say per tile whether the reconstruction helps.

        Embeddings (B, D) of the observed stain alone and beside the reconstruction,
        and the images (B, 3, h, w) in [0, 1] of both.
        """
        ...


class TileFamiliarity(Protocol):
    """What the network needs to know unfamiliar tiles."""

    def distance(self, stain: Stain, image: Tensor) -> Tensor:
        """Return (B,), distance over threshold of images (B, 3, h, w) in [0, 1]."""
        ...
