"""Which regions lie so near a cut-off of the guideline that chance decides them.

The truth of a region is counted from its own cells. Where the 95 % Wilson interval
of a share holds the cut-off that it is compared with, as many other cells of the
same tissue could as well have given another score. These regions are counted, and
the accuracy of the others stands beside the accuracy of all, never instead of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.guideline_lines import deciding_line, lines_asked
from napari_her2.core.membrane import PatternCounts
from napari_her2.evaluation.arm_scores import difference
from napari_her2.evaluation.classification import accuracy, confusions_by_slide
from napari_her2.evaluation.intervals import Floats, bootstrap
from napari_her2.evaluation.regions import Regions
from napari_her2.training.labels import MIN_CELLS

EXPLANATION = (
    "A region is near a cut-off where the 95 % Wilson interval of a share of its cells "
    "holds the 10 % it is compared with, or where a share that has to be above 0 is, "
    "but no higher than the interval of none of as many cells reaches; lines of the "
    "guideline after the one that decides are not asked, and a share of 0 is clear."
)


def is_near(counts: Sequence[int]) -> bool:
    """Whether a region is near a cut-off, from its cells by pattern.

    Examples
    --------
    >>> is_near([85, 0, 0, 0, 15]), is_near([850, 0, 0, 0, 150])
    (True, False)
    """
    cells = PatternCounts(*counts)
    if cells.n < MIN_CELLS:
        return False  # no tumour to be scored
    asked = lines_asked(deciding_line(cells.shares()))
    return any(line.is_near(cells) for line in asked)


def clear_regions(regions: Regions) -> NDArray[np.bool_] | None:
    """Return (n,), the regions not near a cut-off; None where cells are not known."""
    counts = [regions.cells(region) for region in range(len(regions))]
    if any(each is None for each in counts):
        return None
    return np.array([not is_near(each) for each in counts if each is not None], bool)


def clear_scores(
    said: Mapping[str, Floats],
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    clear: NDArray[np.bool_] | None,
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return the accuracy of every arm among clear regions; None if there are none.

    Parameters
    ----------
    said
        Probabilities (n, k) by arm, the first that of both stains.
    truth, slides
        (n,) each.
    clear
        From :func:`clear_regions`.
    seed
        Of the bootstrap.
    """
    if clear is None or not clear.any():
        return None
    true, home = truth[clear], slides[clear]
    kept = {name: each[clear] for name, each in said.items()}
    first = next(iter(kept.values()))
    counts = np.bincount(true)
    return {
        "n_regions": int(clear.sum()),
        "n_near": int((~clear).sum()),
        "n_slides": len(np.unique(home)),
        "majority_accuracy": round(float(counts.max() / counts.sum()), 5),
        "accuracy": {
            name: bootstrap(
                confusions_by_slide(true, each.argmax(1), home, each.shape[1]),
                accuracy,
                seed=seed,
            ).to_json()
            for name, each in kept.items()
        },
        "both_minus": {
            name: difference(first, each, true, home, seed=seed).to_json()
            for name, each in kept.items()
            if each is not first
        },
    }
