"""The set of scores that a region leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari_her2.core.records import Arm
from napari_her2.core.score import Score
from napari_her2.models.calibration import Calibration


def open_scores(
    calibration: Calibration,
    probabilities: Sequence[tuple[Score, float]],
    arms: Iterable[Arm],
) -> tuple[Score, ...]:
    """Return the scores that any arm that took part leaves open, lowest first.

    An arm's set is promised for regions that were scored by that arm alone; where
    several took part, the union is never narrower than any of them.
    """
    held = {
        score
        for arm in arms
        for score in calibration.prediction_set(probabilities, arm)
    }
    return tuple(score for score in Score if score in held)
