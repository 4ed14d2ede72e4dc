"""What the gate says of an image: each of its two tests alone, and the product's word.

The product first asks whether a reconstruction lies on its section
(:mod:`napari_her2.models.agreement`) and then whether DyMo's reward is above what the
bundle fitted (:mod:`napari_her2.models.gate`); it takes what passes both. To see which
test does what, all three are asked of the same pixels and embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from napari_her2.core.score import Stain
from napari_her2.models.gate import Gate


class Asked(StrEnum):
    """What decides whether an image is taken."""

    AGREEMENT = "agreement"
    REWARD = "reward"
    PRODUCT = "product"


ASKED_NAMES: Mapping[str, str] = {
    Asked.AGREEMENT: "agreement test alone",
    Asked.REWARD: "reward alone",
    Asked.PRODUCT: "as the product decides (both)",
}
"""What tables and sentences call them."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Agreement in [-1, 1] and reward of an image, and which tests take it."""

    agreement: float
    reward: float
    taken: Mapping[Asked, bool]

    def named(self) -> dict[str, float]:
        """Return every verdict and both values by name."""
        return {
            **{asked.value: took for asked, took in self.taken.items()},
            "agreement value": self.agreement,
            "reward value": self.reward,
        }


def ask(
    gate: Gate,
    observed: Stain,
    embeddings: tuple[Tensor, Tensor],
    images: tuple[Tensor, Tensor],
) -> Verdicts:
    """Ask about one image.

    Parameters
    ----------
    gate
        The bundle's.
    observed
        The stain that is there.
    embeddings
        (1, D) each, of the observed stain alone and beside the image in question.
    images
        (1, 3, h, w) in [0, 1] each, the observed stain and the image in question.
    """
    alone, beside = embeddings
    real, questioned = images
    (unseen,) = gate.decide(alone, beside, observed)
    (seen,) = gate.decide(alone, beside, observed, real, questioned)
    least = float(gate.min_agreement[list(Stain).index(observed)])
    return Verdicts(
        seen.agreement,
        seen.reward,
        {
            Asked.AGREEMENT: seen.agreement >= least,
            Asked.REWARD: unseen.accepted,
            Asked.PRODUCT: seen.accepted,
        },
    )
