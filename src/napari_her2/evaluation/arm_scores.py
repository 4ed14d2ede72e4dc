"""Everything that is said of one arm, from its probabilities and the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Score
from napari_her2.evaluation.calibration import calibration_scores
from napari_her2.evaluation.classification import (
    above_chance,
    accuracy,
    balanced_accuracy,
    chance_accuracy,
    confusions_by_slide,
    cut_offs,
    macro_f1,
    majority_accuracy,
    per_class,
    weighted_kappa,
    with_intervals,
)
from napari_her2.evaluation.decision_curve import ACTIONS, decision_curve
from napari_her2.evaluation.error_direction import direction_of_errors, low_subgroup
from napari_her2.evaluation.intervals import Floats, Interval, bootstrap
from napari_her2.evaluation.probabilities import SharedClasses


def arm_scores(
    probabilities: Floats,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the calls of one arm.

    Parameters
    ----------
    probabilities
        (n, k) over the shared classes.
    truth
        (n,) numbers of the shared classes.
    slides
        (n,), whose regions go together in the bootstrap.
    classes
        The shared classes.
    seed
        Of the bootstrap.
    """
    calls = probabilities.argmax(1)
    by_slide = confusions_by_slide(truth, calls, slides, len(classes.names))
    whole = by_slide.sum(0)
    return {
        "n_regions": len(truth),
        "n_slides": len(by_slide),
        **with_intervals(by_slide, seed=seed),
        "majority_accuracy": round(float(majority_accuracy(whole)), 5),
        "majority_macro_f1": round(float(_majority_f1(whole)), 5),
        "per_class": per_class(whole, classes.names),
        "classes": list(classes.names),
        "confusion_rows_truth": whole.astype(int).tolist(),
        "strata": strata_scores(probabilities, truth, slides, classes, seed=seed),
    }


def strata_scores(
    probabilities: Floats,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the strata among regions whose truth is a stratum.

    Kappa and cut-offs leave out regions called "no invasive tumour"; their
    number is ``missed_tumour`` under the direction of errors. Probabilities are
    those of the strata, given tumour. ``above_chance`` compares the most likely
    strata, given tumour, with calls that know nothing.
    """
    columns = classes.strata_columns
    tumour = np.isin(truth, columns)
    if not tumour.any():
        return {"n_regions": 0}
    given = strata_probabilities(probabilities[tumour], classes)
    true = np.searchsorted(columns, truth[tumour])
    home = slides[tumour]
    k = len(columns)
    forced = confusions_by_slide(true, given.argmax(1), home, k)
    called = probabilities[tumour].argmax(1)
    assessed = np.isin(called, columns)
    strata = confusions_by_slide(
        true[assessed], np.searchsorted(columns, called[assessed]), home[assessed], k
    )
    five = _in_five(true, called, columns, classes)
    return {
        "n_regions": int(tumour.sum()),
        "n_slides": len(forced),
        "scores": [score.value for score in classes.strata],
        "quadratic_kappa": _boot(strata, weighted_kappa, seed),
        "linear_kappa": _boot(strata, _linear_kappa, seed),
        "accuracy_given_tumour": _boot(forced, accuracy, seed),
        "balanced_accuracy_given_tumour": _boot(forced, balanced_accuracy, seed),
        "majority_accuracy": round(float(majority_accuracy(forced.sum(0))), 5),
        "chance_accuracy": round(float(chance_accuracy(forced.sum(0))), 5),
        "above_chance": _boot(forced, above_chance, seed),
        "cut_offs": cut_offs(
            strata.sum(0), tuple(score.value for score in classes.strata)
        ),
        "direction": direction_of_errors(five),
        "low": low_subgroup(five),
        "calibration": calibration_scores(given, true, home, seed=seed),
        "decision_curves": {
            action.name: decision_curve(
                given[:, _members(action.scores, classes)].sum(1),
                np.isin(true, _members(action.scores, classes)),
                home,
                seed=seed,
            )
            for action in ACTIONS
            if set(action.scores) <= set(classes.strata)
        },
    }


def strata_probabilities(probabilities: Floats, classes: SharedClasses) -> Floats:
    """Return the probabilities of the strata, given tumour, (n, strata)."""
    strata = probabilities[:, classes.strata_columns]
    given: Floats = strata / np.maximum(strata.sum(1, keepdims=True), 1e-12)
    return given


def difference(
    first: Floats,
    second: Floats,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    *,
    seed: int = 0,
) -> Interval:
    """Return the accuracy of the first minus the second, on the same draws."""
    k = first.shape[1]
    pair = np.stack(
        [
            confusions_by_slide(truth, each.argmax(1), slides, k)
            for each in (first, second)
        ],
        1,
    )
    return bootstrap(
        pair, lambda s: accuracy(s[..., 0, :, :]) - accuracy(s[..., 1, :, :]), seed=seed
    )


def _boot(by_slide: Floats, metric: Any, seed: int) -> list[float | None]:
    if not len(by_slide):
        return [None, None, None]
    return bootstrap(by_slide, metric, seed=seed).to_json()


def _linear_kappa(confusion: Floats) -> Floats:
    return weighted_kappa(confusion, power=1)


def _majority_f1(confusion: Floats) -> Floats:
    truth = confusion.sum(1)
    said = np.zeros_like(confusion)
    said[:, truth.argmax()] = truth
    return macro_f1(said)


def _members(scores: tuple[Score, ...], classes: SharedClasses) -> list[int]:
    return [classes.strata.index(score) for score in scores]


def _in_five(
    true: NDArray[np.intp],
    called: NDArray[np.intp],
    columns: list[int],
    classes: SharedClasses,
) -> Floats:
    """Count truths by calls in all five strata and, last, no tumour."""
    rank = [score.rank for score in classes.strata]
    column = np.full(len(classes.names), 5)
    column[columns] = rank
    five = np.zeros((5, 6))
    np.add.at(five, (np.asarray(rank)[true], column[called]), 1)
    return five
