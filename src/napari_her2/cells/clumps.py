"""Nuclei that touch so closely that no level of dye tells them apart.

What is as dark as the rims of the nuclei around, but was not taken for one, is
divided by a watershed between the peaks of a blob filter (Laplacian of Gaussian);
the pieces of a nucleus's size and shape that answer the filter as nuclei of the
slide do are kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_her2.cells.shape import measure_parts, usual_size

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

BLOB_UM: Final = 1.8
AROUND_UM: Final = 12.5
LEAST_LEVEL: Final = 0.7
"""Of the level at the rims of the nuclei around."""

LEAST_BLOB: Final = 0.5
"""Of the blob response of a usual nucleus of the slide."""

LEAST_QUALITY: Final = 0.2
_ELLIPTIC: Final = (0.82, 0.03)
_PEAK_UM: Final = 2.0


def blobs_of(haematoxylin: Floats, mpp: float) -> Floats:
    """Return the response (h, w) to dark blobs of the size of nuclei."""
    blob = -ndimage.gaussian_laplace(haematoxylin, BLOB_UM / mpp)
    return np.asarray(blob, np.float32)


def split_clumps(
    haematoxylin: Floats, signal: Floats, labels: Labels, mpp: float, usual_blob: float
) -> Labels:
    """Return the nuclei (h, w) with those of clumps added, numbered on."""
    found = labels > 0
    rim = found & ~ndimage.binary_erosion(found)
    near = ndimage.gaussian_filter(rim.astype(np.float32), AROUND_UM / mpp)
    level = ndimage.gaussian_filter(np.where(rim, signal, 0), AROUND_UM / mpp)
    level = level / np.maximum(near, 1e-6)
    left = (signal > LEAST_LEVEL * level) & ~ndimage.binary_dilation(found)
    left = ndimage.binary_opening(left) & (near > 1e-6)
    blob = blobs_of(haematoxylin, mpp)
    width = 2 * round(_PEAK_UM / mpp) + 1
    peaks = left & (blob > LEAST_BLOB * usual_blob)
    peaks &= blob == ndimage.maximum_filter(blob, width)
    markers, n = ndimage.label(peaks, np.ones((3, 3)))
    pieces = watershed(-blob, markers, mask=left)
    parts = measure_parts(pieces, n, mpp)
    middle, spread = _ELLIPTIC
    shape = 1 / (1 + np.exp(-(parts.elliptic - middle) / spread))
    kept = shape * usual_size(parts) >= LEAST_QUALITY
    kept[0] = False
    number = np.zeros(n + 1, np.int32)
    number[kept] = labels.max() + np.arange(1, kept.sum() + 1)
    return np.where(found, labels, number[pieces]).astype(np.int32)
