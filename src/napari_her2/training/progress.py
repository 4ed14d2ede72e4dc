"""What training yields while it works; closing the generator stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TrainStage(StrEnum):
    """The parts of a training run, in order."""

    TILES = "tiles"
    HE_TO_IHC = "he_to_ihc"
    IHC_TO_HE = "ihc_to_he"
    PLAIN_HE_TO_IHC = "plain_he_to_ihc"
    SELECTOR = "selector"
    CLASSIFIER = "classifier"
    HE_ONLY = "he_only"
    POOLING = "pooling"
    HEAD = "head"
    HEAD_CONCAT = "head_concat"
    HEAD_MASKED_MEAN = "head_masked_mean"
    HEAD_HE_ONLY = "head_he_only"
    JOINT = "joint"
    FAMILIARITY = "familiarity"
    SCORING = "scoring"


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """``step`` of ``n_steps`` (slides, steps or tiles) of a stage is done.

    ``losses`` are the values of this step by name, empty where there are none.
    """

    stage: TrainStage
    step: int
    n_steps: int
    losses: Mapping[str, float] = field(default_factory=dict)
