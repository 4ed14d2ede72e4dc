"""Which way calls are wrong, and what that costs a patient.

The costs are those of the project's clinical specification (section 5): a wrong
stratum is no number, it is an ISH that is done or not, or a treatment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_her2.core.score import Score
from napari_her2.evaluation.intervals import Floats, wilson

COSTS = {
    (Score.THREE, Score.TWO): "costs an ISH",
    (Score.TWO, Score.ONE): "loses the ISH",
    (Score.ONE, Score.ZERO): "loses HER2-low",
    (Score.ULTRALOW, Score.ZERO): "loses HER2-ultralow",
    (Score.ZERO, Score.ULTRALOW): "over-treats",
}
"""Costs by (truth, call)."""


def direction_of_errors(strata: Floats) -> dict[str, Any]:
    """Count under-calls and over-calls among regions with tumour.

    Parameters
    ----------
    strata
        (5, 5) or (5, 6) confusion: truths 0 to 3+ by calls 0 to 3+ and, in the
        sixth column, calls of no tumour.

    Returns
    -------
    dict
        ``under_calls``, ``over_calls`` with Wilson intervals of their share,
        ``missed_tumour``, the mean signed step in strata, and ``costs``: every
        named error with its count and its share of that truth.
    """
    scores = list(Score)
    calls = strata[:, :5]
    n, n_called = int(strata.sum()), int(calls.sum())
    steps = np.arange(5)[None, :] - np.arange(5)[:, None]
    under, over = int(calls[steps < 0].sum()), int(calls[steps > 0].sum())
    costs = []
    for (truth, call), meaning in COSTS.items():
        count = int(calls[truth.rank, call.rank])
        costs.append(
            {
                "truth": truth.value,
                "call": call.value,
                "meaning": meaning,
                "count": count,
                "share_of_truth": wilson(
                    count, int(strata[truth.rank].sum())
                ).to_json(),
            }
        )
    others = [
        {"truth": t.value, "call": c.value, "count": int(calls[t.rank, c.rank])}
        for t in scores
        for c in scores
        if t is not c and (t, c) not in COSTS and calls[t.rank, c.rank]
    ]
    return {
        "n_regions_with_tumour": n,
        "under_calls": under,
        "under_call_share": wilson(under, n).to_json(),
        "over_calls": over,
        "over_call_share": wilson(over, n).to_json(),
        "missed_tumour": n - n_called,
        "mean_step": round(float((calls * steps).sum() / n_called), 4)
        if n_called
        else None,
        "costs": costs,
        "other_errors": others,
    }


def low_subgroup(strata: Floats) -> dict[str, Any]:
    """Measure the strata 0, 0+ and 1+ alone, where treatment is decided by nuance.

    ``strata`` is as for :func:`direction_of_errors`.
    """
    low = strata[:3]
    hits = int(np.trace(low[:, :3]))
    return {
        "truths": [score.value for score in list(Score)[:3]],
        "n_regions": int(low.sum()),
        "accuracy": wilson(hits, int(low.sum())).to_json(),
        "recall": {
            score.value: wilson(
                int(low[score.rank, score.rank]), int(low[score.rank].sum())
            ).to_json()
            for score in list(Score)[:3]
        },
        "zero_called_ultralow_or_more": wilson(
            int(low[0, 1:5].sum()), int(low[0].sum())
        ).to_json(),
        "ultralow_called_zero": wilson(int(low[1, 0]), int(low[1].sum())).to_json(),
    }
