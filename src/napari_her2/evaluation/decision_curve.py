"""Decision curves: whether it is worth acting on a probability.

Net benefit at the threshold probability t is TP/n - FP/n * t / (1 - t) (Vickers
and Elkin, Med Decis Making 2006;26:565). It is computed by that formula and not
by the ``dcurves`` package, whose dependencies hold pandas below version 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Score
from napari_her2.evaluation.intervals import Floats, sums_by_slide

THRESHOLDS = np.round(np.arange(0.02, 0.99, 0.02), 2)


@dataclass(frozen=True, slots=True)
class Action:
    """Something done when the probability of some strata is high enough."""

    name: str
    scores: tuple[Score, ...]


ACTIONS = (
    Action("T-DXd eligible, 1+ or more", (Score.ONE, Score.TWO, Score.THREE)),
    Action(
        "T-DXd eligible, 0+ or more",
        (Score.ULTRALOW, Score.ONE, Score.TWO, Score.THREE),
    ),
    Action("send to ISH, 2+", (Score.TWO,)),
)
"""The actions of the clinical specification; 2+ counts before its ISH is known."""


def net_benefit(
    true_positives: Any, false_positives: Any, n: Any, threshold: Any
) -> Any:
    """Return the net benefit per person.

    Examples
    --------
    >>> round(net_benefit(20, 10, 100, 0.2), 6)
    0.175
    """
    return true_positives / n - false_positives / n * threshold / (1 - threshold)


def decision_curve(
    probability: Floats,
    event: NDArray[np.bool_],
    slides: NDArray[Any],
    *,
    thresholds: Floats = THRESHOLDS,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the net benefit of acting by probability, on all and on none.

    Also whether acting by probability beats the better of the two, and where.
    """
    acts = probability[:, None] >= thresholds
    each = np.stack([acts & event[:, None], acts & ~event[:, None]], -1).astype(float)
    sums = sums_by_slide(
        np.concatenate([each.reshape(len(event), -1), np.ones((len(event), 1))], 1),
        slides,
    )

    def curve(summed: Floats) -> Floats:
        n = summed[..., -1:]
        hits = summed[..., :-1].reshape(*summed.shape[:-1], len(thresholds), 2)
        result: Floats = net_benefit(hits[..., 0], hits[..., 1], n, thresholds)
        return result

    value = curve(sums.sum(0))
    rng = np.random.default_rng((seed, len(sums)))
    counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), draws)
    low, high = np.percentile(curve(counts @ sums), [2.5, 97.5], axis=0)
    share = float(event.mean())
    treat_all = net_benefit(share, 1 - share, 1, thresholds)
    better = value > np.maximum(treat_all, 0) + 1e-12
    return {
        "n_regions": len(event),
        "prevalence": round(share, 5),
        "threshold": thresholds.tolist(),
        "net_benefit": _rounded(value),
        "low": _rounded(low),
        "high": _rounded(high),
        "act_on_all": _rounded(treat_all),
        "act_on_none": 0.0,
        "share_of_thresholds_better": round(float(better.mean()), 4),
    }


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 5) for value in values]
