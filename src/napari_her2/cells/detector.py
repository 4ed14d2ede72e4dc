"""Nuclei found by somebody's own network instead of :mod:`napari_her2.cells.nuclei`.

A detector is a function from a picture to labels, at a scale of its own. Where it comes
from is not known here: :mod:`napari_her2.inference.torchscript_detector` loads one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]

LEAST_NUCLEUS_UM2: Final = 5.0
"""What is smaller is no nucleus, whoever says so."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds the nuclei in a picture.

    Parameters
    ----------
    name
        For people.
    sha256
        Of the file with the weights, 64 hexadecimal digits.
    mpp
        µm per pixel of the pictures it wants.
    find
        From RGB (h, w, 3), 0 to 255, to labels (h, w), 0 outside of nuclei.
    """

    name: str
    sha256: str
    mpp: float
    find: Callable[[NDArray[np.uint8]], Labels] = field(compare=False)

    @property
    def record(self) -> dict[str, str | float]:
        """What a result keeps of it."""
        return {"name": self.name, "sha256": self.sha256, "um_per_px": self.mpp}

    @property
    def words(self) -> str:
        """What a person is told of it."""
        return f"nuclei by {self.name} (sha256 {self.sha256[:12]})"


def at_scale(labels: Labels, shape: tuple[int, int], mpp: float) -> Labels:
    """Return labels of the same field at another scale, numbered without gaps.

    Parameters
    ----------
    labels
        (h, w), 0 outside of nuclei, any other numbers.
    shape, mpp
        Rows and columns of the result, and µm per pixel of it.
    """
    rows, cols = (
        ((np.arange(n) + 0.5) * n_of / n).astype(int)
        for n, n_of in zip(shape, labels.shape, strict=True)
    )
    numbers, inverse, n_px = np.unique(
        labels[np.ix_(rows, cols)], return_inverse=True, return_counts=True
    )
    kept = (numbers > 0) & (n_px * mpp**2 >= LEAST_NUCLEUS_UM2)
    renumbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(renumbered[inverse].reshape(shape))
