"""Calibrated probabilities and prediction sets, from what a bundle's card holds.

Temperature scaling (Guo et al., ICML 2017) divides the logits of an arm by one
number. Prediction sets are split conformal with the adaptive score of Romano,
Sesia and Candès (NeurIPS 2020) in its deterministic form, without randomisation:
the score of a class is the sum of the probabilities of all classes that are at
least as probable. A set holds every class whose score is at most the quantile
found on held-out slides, and always the most probable one; both can only raise
the coverage. The promise is marginal: over regions like those held out, given
that there is tumour, the set holds the truth at least as often as asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_her2.core.errors import BundleError
from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.bundle import Bundle

Floats = NDArray[np.float64]
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes the probabilities of every arm mean what they say.

    Parameters
    ----------
    alpha
        Share of sets that may miss the truth, in (0, 1).
    temperature
        Divides the logits of an arm, above 0; an arm that is not named keeps
        its logits.
    quantile
        Largest score of a class in a set, in [0, 1], one per arm. An arm that is
        not named was never calibrated, and its sets hold every class.
    class_quantile
        Optional: a quantile for each score, which then replaces the one of the
        arm, so that the coverage holds within every class.
    coverage_reached
        Share of sets that held the truth on slides used for nothing else.
    """

    alpha: float
    temperature: Mapping[Arm, float] = field(default_factory=dict)
    quantile: Mapping[Arm, float] = field(default_factory=dict)
    class_quantile: Mapping[Arm, Mapping[Score, float]] = field(default_factory=dict)
    coverage_reached: Mapping[Arm, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha {self.alpha} is not between 0 and 1")
        if not all(math.isfinite(t) and t > 0 for t in self.temperature.values()):
            raise ValueError("a temperature is not above 0")
        by_class = (q for each in self.class_quantile.values() for q in each.values())
        for value in (*self.quantile.values(), *by_class):
            if not 0 <= value <= 1:
                raise ValueError(f"the quantile {value} is not in [0, 1]")

    def probabilities(self, probabilities: ArrayLike, arm: Arm) -> Floats:
        """Return calibrated probabilities (..., K) of those a network gave.

        A softmax taken at temperature 1 and raised to the power 1 / T is the
        softmax at T, so logits are not needed.
        """
        given = np.asarray(probabilities, np.float64)
        tiny = np.finfo(np.float64).tiny
        return self.probabilities_of_logits(np.log(np.maximum(given, tiny)), arm)

    def probabilities_of_logits(self, logits: ArrayLike, arm: Arm) -> Floats:
        """Return calibrated probabilities (..., K) of logits (..., K)."""
        scaled = np.asarray(logits, np.float64) / self.temperature.get(arm, 1.0)
        return softmax(scaled)

    def prediction_set(
        self, probabilities: Sequence[tuple[Score, float]], arm: Arm
    ) -> tuple[Score, ...]:
        """Return the scores that cannot be ruled out, in their clinical order.

        Parameters
        ----------
        probabilities
            Calibrated probabilities of the strata given tumour, summing to 1.
            Empty where nothing could be assessed; then the set is empty too.
        arm
            What was scored.

        Examples
        --------
        >>> calibration = Calibration(0.1, quantile={Arm.BOTH: 0.85})
        >>> calibration.prediction_set(
        ...     [(Score.ONE, 0.6), (Score.TWO, 0.2), (Score.THREE, 0.2)], Arm.BOTH
        ... )
        (<Score.ONE: '1+'>, <Score.TWO: '2+'>)
        """
        if not probabilities:
            return ()
        scores = [score for score, _ in probabilities]
        (held,) = self.sets([[p for _, p in probabilities]], arm, scores)
        chosen = {score for score, inside in zip(scores, held, strict=True) if inside}
        return tuple(score for score in Score if score in chosen)

    def sets(
        self, probabilities: ArrayLike, arm: Arm, strata: Sequence[Score]
    ) -> NDArray[np.bool_]:
        """Return which of the strata (n, K) are in the sets of n regions."""
        given = np.atleast_2d(np.asarray(probabilities, np.float64))
        by_class = self.class_quantile.get(arm, {})
        limit = np.array([by_class.get(s, self.quantile.get(arm, 1.0)) for s in strata])
        held = adaptive_scores(given) <= limit + _ROUNDING
        held[np.arange(len(given)), given.argmax(1)] = True
        return np.asarray(held, bool)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a bundle's card."""
        return {
            "alpha": self.alpha,
            "coverage_asked": 1 - self.alpha,
            "temperature": {str(arm): t for arm, t in self.temperature.items()},
            "quantile": {str(arm): q for arm, q in self.quantile.items()},
            "class_quantile": {
                str(arm): {str(score): q for score, q in each.items()}
                for arm, each in self.class_quantile.items()
            },
            "coverage_reached": {
                str(arm): share for arm, share in self.coverage_reached.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            If an arm is unknown, or a value is missing or out of range.
        """

        def by_arm(name: str) -> dict[Arm, float]:
            return {Arm(arm): float(v) for arm, v in values.get(name, {}).items()}

        return cls(
            alpha=float(values["alpha"]),
            temperature=by_arm("temperature"),
            quantile=by_arm("quantile"),
            class_quantile={
                Arm(arm): {Score(score): float(q) for score, q in each.items()}
                for arm, each in values.get("class_quantile", {}).items()
            },
            coverage_reached=by_arm("coverage_reached"),
        )


def calibration_of(bundle: Bundle) -> Calibration | None:
    """Return the calibration that stands in a bundle's card, None without one.

    Raises
    ------
    BundleError
        If what stands there makes no sense.
    """
    values = bundle.card.parameters.get("calibration")
    if values is None:
        return None
    try:
        return Calibration.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            bundle.path,
            f"the calibration in its card makes no sense ({error}).",
            "Choose another bundle, or train this one again.",
        ) from error


def softmax(logits: ArrayLike) -> Floats:
    """Return probabilities (..., K) of logits (..., K)."""
    values = np.asarray(logits, np.float64)
    values = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(values / values.sum(-1, keepdims=True))


def adaptive_scores(probabilities: ArrayLike) -> Floats:
    """Return the conformal score (n, K) of every class: deterministic APS.

    The score of a class is the probability of all classes at least as probable
    as it; classes that tie share the largest score, so that the score does not
    depend on their order.

    Examples
    --------
    >>> adaptive_scores([[0.5, 0.25, 0.25]]).tolist()
    [[0.5, 1.0, 1.0]]
    """
    given = np.asarray(probabilities, np.float64)
    at_least = given[:, None, :] >= given[:, :, None]
    return np.asarray((given[:, None, :] * at_least).sum(-1))


def conformal_quantile(scores: ArrayLike, alpha: float) -> float:
    """Return the ceil((n + 1)(1 - alpha))-th smallest of n scores of the truth.

    With too few scores for that rank the answer is 1: the set of every class.

    Examples
    --------
    >>> conformal_quantile([0.1, 0.2, 0.3, 0.4], 0.25), conformal_quantile([0.1], 0.1)
    (0.4, 1.0)
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    rank = math.ceil((len(ordered) + 1) * (1 - alpha) - _ROUNDING)
    return 1.0 if rank > len(ordered) else min(1.0, float(ordered[rank - 1]))
