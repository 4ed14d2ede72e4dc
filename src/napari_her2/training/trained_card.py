"""The card of networks that were just trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_her2.models.card import INTENDED_USE, Card
from napari_her2.models.network import Her2Network
from napari_her2.training.config import TrainingConfig

OUTPUTS = (
    "synthetic_ihc",
    "synthetic_he",
    "logits",
    "attention",
    "channel_weights",
    "branch_share",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a card says of where networks come from.

    ``further`` are parameters beside architecture, attention scale and policy.
    """

    name: str
    version: str
    trained_on: str
    classes: Sequence[str]
    licence: str
    training_command: str
    scores: Mapping[str, Any]
    further: Mapping[str, Any] = field(default_factory=dict)


def trained_card(config: TrainingConfig, network: Her2Network, origin: Origin) -> Card:
    """Return the card of networks that both stains can be given to."""
    return Card(
        name=origin.name,
        version=origin.version,
        trained_on=origin.trained_on,
        mpp=config.mpp,
        core_px=config.core_px,
        halo_px=config.halo_px,
        inputs=("he", "ihc"),
        outputs=OUTPUTS,
        classes=tuple(origin.classes),
        files={},
        licence=origin.licence,
        intended_use=INTENDED_USE,
        parameters={
            "network": config.network.to_dict(),
            "attention_scale": network.attention_scale,
            "policy": "gan",
            **origin.further,
        },
        training_command=origin.training_command,
        seed=config.seed,
        scores=dict(origin.scores),
    )
