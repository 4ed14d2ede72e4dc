"""Whether a reconstructed stain helps: DyMo's reward, and a look at the section.

DyMo (arXiv 2601.22853) asks of every missing modality that an imputer filled in
whether the classifier becomes surer with it, without becoming less typical of the
class it then calls. It was made for imputers that may fail, and knows the picture
only through the classifier: a flawless reconstruction of *another* section makes
the classifier just as sure, and its reward cannot tell (measured in
``docs/results.md``). Our own addition stands before it: a reconstruction must lie
on the section it claims to come from (:mod:`~napari_her2.models.agreement`). And the
least reward is fitted: no reconstruction holds what its source does not, so a right
one need not make the call surer, and DyMo's limit of 0 refuses most of them. It may
only not be less rewarding than right ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_her2.core.records import GateVerdict
from napari_her2.core.score import Stain
from napari_her2.models.agreement import section_agreement

TEMPERATURE: Final = 0.1
"""Of the softmax over cosine similarities, as in DyMo."""

MIN_SAMPLES: Final = 20
"""With fewer training samples of a class its spread says nothing: G is 1."""

BOTH: Final = "he+ihc"

SUBSETS: Final = (Stain.HE.value, Stain.IHC.value, BOTH)
"""Subsets of stains in the order of the prototypes."""


@dataclass(frozen=True, slots=True)
class Reward:
    """DyMo's five numbers; in DyMo R > 0 adds and R < 0 drops for good."""

    reward: float
    confidence: float
    confidence_with: float
    typicality: float
    typicality_with: float


def typicality(distance: Tensor, spread: Tensor) -> Tensor:
    """Return p = 2 (1 - Phi(d / sigma)), 1 at the prototype, 0 far from it.

    Examples
    --------
    >>> typicality(torch.tensor([0.0, 1.0]), torch.tensor(1.0)).tolist()
    [1.0, 0.31731051206588745]
    """
    beyond: Tensor = torch.special.ndtr(-distance / spread)
    return 2 * beyond


def gate_factor(typical: float, typical_with: float) -> float:
    """Return G: 1 if nothing became less typical, else log p / log p_u, below 1.

    Examples
    --------
    >>> gate_factor(0.5, 0.6), round(gate_factor(0.5, 0.25), 6)
    (1.0, 0.5)
    """
    if typical_with >= typical:
        return 1.0
    if typical_with <= 0.0:
        return 0.0
    p, p_u = torch.tensor([typical, typical_with], dtype=torch.float64).log().tolist()
    return float(p / p_u)


class Gate(nn.Module):
    """Class prototypes of every subset of stains, and the decisions they allow.

    Parameters
    ----------
    centre, projection
        (D,) and (D, P): embeddings are moved and projected before their cosine is
        taken; DyMo learns its projection, ours is fitted afterwards.
    prototypes
        (S, K, P), unit vectors: mean of each class in each subset of
        :data:`SUBSETS`, or of the subsets that ``names`` gives.
    spreads
        (S, K), root mean square of the cosine distances to them.
    counts
        (S, K), training samples; a class without any has a zero prototype.
    min_agreement
        Least agreement of a reconstruction with the section, by observed stain;
        -1 accepts any.
    names
        Subset names, in the order of the prototypes.
    min_reward
        (2,), reward above which a reconstruction is used, by observed stain; 0, as
        in DyMo, where it was not fitted.
    """

    centre: Tensor
    projection: Tensor
    prototypes: Tensor
    spreads: Tensor
    counts: Tensor
    min_agreement: Tensor
    min_reward: Tensor

    def __init__(
        self,
        centre: Tensor,
        projection: Tensor,
        prototypes: Tensor,
        spreads: Tensor,
        counts: Tensor,
        min_agreement: Tensor,
        names: Sequence[str] = SUBSETS,
        min_reward: Tensor | None = None,
    ) -> None:
        super().__init__()
        subsets, classes, width = prototypes.shape
        least_reward = torch.zeros(2) if min_reward is None else min_reward
        if (
            len(names) != subsets
            or tuple(projection.shape) != (len(centre), width)
            or tuple(spreads.shape) != (subsets, classes)
            or tuple(counts.shape) != (subsets, classes)
            or tuple(min_agreement.shape) != (2,)
            or tuple(least_reward.shape) != (2,)
        ):
            raise ValueError("the gate's tensors do not fit each other")
        known = (centre, projection, prototypes, spreads, counts)
        given = (*known, min_agreement, least_reward)
        if not all(bool(tensor.isfinite().all()) for tensor in given):
            raise ValueError("a tensor of the gate holds values that are not finite")
        if bool((spreads[counts > 0] <= 0).any()):
            raise ValueError("a spread of the gate is not above 0")
        self.names = tuple(names)
        for name, tensor in zip(_TENSORS, given, strict=True):
            self.register_buffer(name, tensor.detach().clone())

    def decide(
        self,
        embedding_observed: Tensor,
        embedding_with: Tensor,
        observed: Stain,
        real: Tensor | None = None,
        reconstruction: Tensor | None = None,
    ) -> tuple[GateVerdict, ...]:
        """Say of each of B tiles whether the reconstruction is used.

        Parameters
        ----------
        embedding_observed, embedding_with
            (B, D): what the classifier makes of the observed stain alone, and of it
            beside the reconstruction.
        observed
            The stain that is really there.
        real, reconstruction
            (B, 3, h, w) in [0, 1]: the pixels of both, at the bundle's µm/px. Without
            them the section is not looked at and the agreement counts as 1.
        """
        agreement = torch.ones(len(embedding_observed))
        if real is not None and reconstruction is not None:
            agreement = section_agreement(real, reconstruction)
        row = list(Stain).index(observed)
        limits = float(self.min_agreement[row]), float(self.min_reward[row])
        verdicts = []
        for one, beside, agrees in zip(
            embedding_observed, embedding_with, agreement.tolist(), strict=True
        ):
            found = self.reward(one, beside, observed.value, BOTH)
            verdicts.append(_verdict(found, agrees, *limits))
        return tuple(verdicts)

    def reward(
        self, observed: Tensor, beside: Tensor, subset: str, subset_with: str
    ) -> Reward:
        """Return DyMo's reward for going from one subset to a larger one.

        ``observed`` and ``beside`` are embeddings (D,) of the two subsets.
        """
        q, k, p = self._judge(observed, subset)
        q_with, k_with, p_with = self._judge(beside, subset_with)
        known = min(self._count(subset, k), self._count(subset_with, k_with))
        factor = 1.0 if known < MIN_SAMPLES else gate_factor(p, p_with)
        return Reward(q_with * factor - q, q, q_with, p, p_with)

    def _judge(self, embedding: Tensor, subset: str) -> tuple[float, int, float]:
        """Return confidence, class called and typicality of an embedding (D,)."""
        row = self.names.index(subset)
        point = self.project(embedding[None])[0]
        similar = self.overall() @ point
        known = self.counts.sum(0) > 0
        shares = (similar / TEMPERATURE).masked_fill(~known, -torch.inf).softmax(0)
        called = int(shares.argmax())
        distance = 1 - self.prototypes[row, called].double() @ point
        spread = self.spreads[row, called].double().clamp(min=1e-9)
        p = float(typicality(distance.clamp(min=0), spread))
        return float(shares[called]), called, p

    def _count(self, subset: str, called: int) -> float:
        return float(self.counts[self.names.index(subset), called])

    def project(self, embeddings: Tensor) -> Tensor:
        """Return unit vectors (B, P) of embeddings (B, D)."""
        moved = embeddings.double() - self.centre.double()
        return functional.normalize(moved @ self.projection.double(), dim=1)

    def overall(self) -> Tensor:
        """Return the prototypes (K, P) of the classes over the subsets that know them.

        A class that no subset knows has a zero prototype and cannot be called.
        """
        known = (self.counts > 0).double()[:, :, None]
        total = (self.prototypes.double() * known).sum(0)
        return functional.normalize(total, dim=1)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors for a bundle."""
        return {name: tensor.clone() for name, tensor in self.named_buffers()}

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], parameters: Mapping[str, Any] | None = None
    ) -> Self:
        """Build from what :meth:`state` wrote and the card's ``subsets``.

        Raises
        ------
        KeyError, ValueError
            If a tensor is missing, unfit or not finite.
        """
        names = tuple((parameters or {}).get("subsets", SUBSETS))
        late = {_LATE: state[_LATE]} if _LATE in state else {}
        return cls(**{name: state[name] for name in _EARLY}, **late, names=names)


_EARLY = (
    "centre", "projection", "prototypes", "spreads", "counts", "min_agreement",
)  # fmt: skip
_LATE = "min_reward"
"""Bundles before demo 2.2 lack it."""

_TENSORS = (*_EARLY, _LATE)


@dataclass(frozen=True, slots=True)
class Selection:
    """The modalities taken in, in that order, and the rounds it took."""

    accepted: tuple[str, ...]
    rounds: int


def select(
    observed: frozenset[str],
    candidates: frozenset[str],
    reward: Callable[[frozenset[str], str], float],
) -> Selection:
    """Take in reconstructed modalities one by one while that pays: DyMo's loop.

    Parameters
    ----------
    observed
        What is really there.
    candidates
        What was reconstructed.
    reward
        R of adding one candidate to a set of modalities.

    Notes
    -----
    In every round a candidate with R < 0 is dropped for good and the best with R > 0
    joins; without one the loop ends. With two stains this is one round, what
    :meth:`Gate.decide` asks where no reward was fitted.
    """
    held, left = frozenset(observed), set(candidates - observed)
    accepted: list[str] = []
    rounds = 0
    while left:
        rounds += 1
        # by name, so that ties do not depend on the order of a set
        rewards = {name: reward(held, name) for name in sorted(left)}
        left = {name for name in left if rewards[name] >= 0}
        best = max(sorted(left), key=rewards.__getitem__, default=None)
        if best is None or rewards[best] <= 0:
            break
        held |= {best}
        left.discard(best)
        accepted.append(best)
    return Selection(tuple(accepted), rounds)


def _verdict(
    found: Reward, agreement: float, least_agreement: float, least_reward: float
) -> GateVerdict:
    agrees, pays = agreement >= least_agreement, found.reward > least_reward
    if not agrees:
        reason = "the reconstruction does not lie on this section"
    elif pays and found.reward > 0:
        reason = "the reconstruction makes the call surer"
    elif pays:
        reason = "the reconstruction lies on this section and makes the call no surer"
    elif found.confidence_with <= found.confidence:
        reason = "the reconstruction does not make the call surer"
    else:
        reason = "the reconstruction looks untypical of its class"
    return GateVerdict(
        accepted=agrees and pays,
        reward=found.reward,
        confidence=found.confidence,
        confidence_with=found.confidence_with,
        typicality=found.typicality,
        typicality_with=found.typicality_with,
        reason=reason,
        agreement=agreement,
    )
