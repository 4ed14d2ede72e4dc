"""Probabilities and prediction sets of every arm, as the bundle calibrates them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arm_scores import strata_probabilities
from napari_her2.evaluation.calibration import calibration_scores, coverage
from napari_her2.evaluation.intervals import Floats
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.scored_regions import GATED, ScoredRegions
from napari_her2.evaluation.verdicts import Asked
from napari_her2.models.calibration import Calibration

_ARMS_OF_GATED = {
    GATED[Stain.HE]: (Stain.HE, Arm.HE_RECONSTRUCTED, Arm.HE),
    GATED[Stain.IHC]: (Stain.IHC, Arm.IHC_RECONSTRUCTED, Arm.IHC),
}


def arm_of_rows(name: str, scored: ScoredRegions) -> list[Arm | None]:
    """Return the arm whose calibration each region takes, None for none.

    Through the gate every region has the arm that the gate chose for it.
    """
    n = len(scored.logits[name])
    if name in _ARMS_OF_GATED:
        stain, beside, alone = _ARMS_OF_GATED[name]
        gate = scored.gate.get(stain.value)
        if gate is None:
            return [beside] * n
        return [beside if taken else alone for taken in gate[f"{Asked.PRODUCT}/right"]]
    return [Arm(name) if name in set(Arm) else None] * n


def calibrated_probabilities(
    scored: ScoredRegions, classes: SharedClasses, calibration: Calibration | None
) -> dict[str, Floats]:
    """Return probabilities over the shared classes (n, k) by arm."""
    said = {}
    for name, logits in scored.logits.items():
        temperature = np.array(
            [
                1.0
                if arm is None or calibration is None
                else calibration.temperature.get(arm, 1.0)
                for arm in arm_of_rows(name, scored)
            ]
        )
        said[name] = classes.probabilities(logits / temperature[:, None])
    return said


def calibration_results(
    scored: ScoredRegions,
    said: dict[str, Floats],
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    calibration: Calibration | None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return, by arm, coverage of prediction sets and what temperature changed.

    Only regions whose truth is a stratum take part. Empty without a calibration.
    """
    if calibration is None:
        return {}
    columns = classes.strata_columns
    tumour = np.flatnonzero(np.isin(truth, columns))
    if not len(tumour):
        return {}
    true = np.searchsorted(columns, truth[tumour])
    names = [score.value for score in classes.strata]
    results = {}
    for name, probabilities in said.items():
        arms = [arm_of_rows(name, scored)[i] for i in tumour]
        if None in arms:
            continue
        strata = strata_probabilities(probabilities[tumour], classes)
        held = np.zeros(strata.shape, bool)
        for arm in set(arms):
            rows = np.array([each is arm for each in arms])
            held[rows] = calibration.sets(strata[rows], arm, classes.strata)  # type: ignore[arg-type]
        raw = strata_probabilities(
            classes.probabilities(scored.logits[name][tumour]), classes
        )
        results[name] = {
            "coverage_asked": round(1 - calibration.alpha, 5),
            "sets": coverage(held, true, slides[tumour], names, seed=seed),
            "before_temperature": calibration_scores(
                raw, true, slides[tumour], seed=seed
            ),
        }
    return results
