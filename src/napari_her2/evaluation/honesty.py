"""Whether an arm knows what its images cannot tell: the test for leakage.

On virtual slides with morphology signal 0 the H&E does not depend on the HER2
level. Whoever scores such slides from H&E alone, or from an IHC reconstructed from
it, must be at chance among regions with tumour; anything above has seen the
answer. (That a region holds tumour at all may be known, and is left out; that few
cells make 0 a little likelier than 0+ is worth about one percentage point.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.evaluation.arm_scores import strata_probabilities
from napari_her2.evaluation.classification import (
    above_chance,
    accuracy,
    chance_accuracy,
    confusions_by_slide,
    majority_accuracy,
)
from napari_her2.evaluation.intervals import Floats, Interval, bootstrap
from napari_her2.evaluation.probabilities import SharedClasses


@dataclass(frozen=True, slots=True)
class ChanceTest:
    """What an arm reached where nothing can be known.

    ``accuracy`` is that of the likeliest stratum given tumour; ``chance`` what
    the same calls reach by chance; ``above_chance`` their difference.
    """

    n_regions: int
    n_slides: int
    accuracy: Interval
    chance: float
    majority: float
    above_chance: Interval

    @property
    def at_chance(self) -> bool:
        """Whether the interval of the difference covers 0."""
        return self.above_chance.covers(0.0)

    @property
    def leaks(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.above_chance.low > 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "n_regions": self.n_regions,
            "n_slides": self.n_slides,
            "accuracy": self.accuracy.to_json(),
            "chance_accuracy": round(self.chance, 5),
            "majority_accuracy": round(self.majority, 5),
            "above_chance": self.above_chance.to_json(),
            "at_chance": self.at_chance,
        }


def chance_test(
    probabilities: Floats,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> ChanceTest:
    """Compare the likeliest strata of regions with tumour with chance.

    Parameters
    ----------
    probabilities, truth, slides
        (n, k) and (n,) of one arm, numbers of the shared classes.
    classes
        The shared classes.
    seed
        Of the bootstrap over slides.

    Raises
    ------
    ValueError
        If no region has tumour.
    """
    columns = classes.strata_columns
    tumour = np.isin(truth, columns)
    if not tumour.any():
        raise ValueError("no region has tumour")
    calls = strata_probabilities(probabilities[tumour], classes).argmax(1)
    true = np.searchsorted(columns, truth[tumour])
    by_slide = confusions_by_slide(true, calls, slides[tumour], len(columns))
    whole = by_slide.sum(0)
    return ChanceTest(
        int(tumour.sum()),
        len(by_slide),
        bootstrap(by_slide, accuracy, seed=seed),
        float(chance_accuracy(whole)),
        float(majority_accuracy(whole)),
        bootstrap(by_slide, above_chance, seed=seed),
    )
