"""From a bundle's logits to probabilities over classes that truth and calls share.

A data set of four classes does not separate 0 from 0+; a bundle may know a class
"no invasive tumour" that the data set lacks. What either does not separate is
added up under the name 0; the classes that are left are the same for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Score
from napari_her2.evaluation.intervals import Floats
from napari_her2.models.card import NO_TUMOUR, ZERO_OR_ULTRALOW

_ORDER = (NO_TUMOUR, *(score.value for score in Score))


@dataclass(frozen=True, slots=True)
class SharedClasses:
    """The classes that calls and truths are compared in.

    ``of_bundle`` and ``of_data`` map their class numbers to those of ``names``.
    """

    names: tuple[str, ...]
    of_bundle: tuple[int, ...]
    of_data: tuple[int, ...]

    @property
    def strata(self) -> tuple[Score, ...]:
        """The scores among the classes, in order."""
        return tuple(Score(name) for name in self.names if name != NO_TUMOUR)

    @property
    def strata_columns(self) -> list[int]:
        """Columns of the scores."""
        return [k for k, name in enumerate(self.names) if name != NO_TUMOUR]

    def truth(self, labels: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return labels of the data set as numbers of ``names``."""
        return np.asarray(self.of_data, np.intp)[labels]

    def probabilities(self, logits: NDArray[np.floating]) -> Floats:
        """Return probabilities (n, k) over ``names`` from logits (n, K)."""
        each = softmax(np.asarray(logits, np.float64), axis=1)
        merged = np.zeros((len(each), len(self.names)))
        for column, target in enumerate(self.of_bundle):
            merged[:, target] += each[:, column]
        return merged


def share_classes(bundle: Sequence[str], data: Sequence[str]) -> SharedClasses:
    """Find the classes that a bundle and a data set share.

    Raises
    ------
    UsageError
        If one knows a class that has no counterpart.

    Examples
    --------
    >>> shared = share_classes(("0", "0+", "1+"), ("0", "1+"))
    >>> shared.names, shared.of_bundle
    (('0', '1+'), (0, 0, 1))
    """
    merged = {ZERO_OR_ULTRALOW: Score.ZERO.value}
    if Score.ULTRALOW.value not in bundle or Score.ULTRALOW.value not in data:
        merged[Score.ULTRALOW.value] = Score.ZERO.value
    known = {merged.get(name, name) for name in (*bundle, *data)}
    names = tuple(name for name in _ORDER if name in known)
    strange = [name for name in (*bundle, *data) if merged.get(name, name) not in names]
    if strange:
        raise UsageError(
            f"The class {strange[0]!r} is no HER2 score.",
            "Give data labelled 0, 0+, 1+, 2+ or 3+.",
        )
    return SharedClasses(
        names,
        tuple(names.index(merged.get(name, name)) for name in bundle),
        tuple(names.index(merged.get(name, name)) for name in data),
    )
