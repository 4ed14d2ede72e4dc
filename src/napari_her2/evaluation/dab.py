"""How much DAB an image shows, and where.

Optical density is separated into haematoxylin, DAB and a rest at right angles
(Ruifrok and Johnston, Anal Quant Cytol Histol 2001;23:291). Densities are base
10; the vectors are the published ones, not fitted to a slide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import Floats

POSITIVE_OD = 0.15
"""A pixel with more DAB counts as positive."""

BLOCK_PX = 64
"""Side of the blocks whose positive areas are compared."""

_HAEMATOXYLIN = (0.650, 0.704, 0.286)
_DAB = (0.268, 0.570, 0.776)


def _dab_row() -> Floats:
    """Return the weights that give the DAB density from three densities."""
    pair = [np.array(v) / np.linalg.norm(v) for v in (_HAEMATOXYLIN, _DAB)]
    rest = np.cross(*pair)
    stains = np.stack([*pair, rest / np.linalg.norm(rest)])
    column: Floats = np.linalg.inv(stains)[:, 1]
    return column


_TABLE = -np.log10(np.maximum(np.arange(256), 1) / 255.0)


def dab_density(image: Image) -> NDArray[np.float32]:
    """Return the DAB density (h, w) of a uint8 image (h, w, 3), never negative.

    Examples
    --------
    >>> brown = np.rint(255 * 10 ** -np.array([[_DAB]])).astype(np.uint8)
    >>> round(float(dab_density(brown)[0, 0]), 2)
    1.0
    """
    lookups = (_TABLE[:, None] * _dab_row()).astype(np.float32)
    density = sum(lookups[:, c].take(image[..., c]) for c in range(3))
    return np.maximum(np.asarray(density, np.float32), 0)


def positive_shares(
    density: NDArray[np.float32],
    *,
    threshold: float = POSITIVE_OD,
    block_px: int = BLOCK_PX,
) -> Floats:
    """Return the positive share of every whole block, (h // block, w // block)."""
    rows, columns = (side // block_px for side in density.shape)
    kept = density[: rows * block_px, : columns * block_px] > threshold
    shaped = kept.reshape(rows, block_px, columns, block_px)
    shares: Floats = shaped.mean((1, 3))
    return shares


def overlap_sums(real: Floats, fake: Floats) -> tuple[float, float]:
    """Return the intersection and the union of positive areas, block by block.

    Within a block it does not matter where the positive pixels lie, so that an
    error of registration below the block's side costs little. Their ratio,
    summed over images, is the block-wise IoU.

    Examples
    --------
    >>> overlap_sums(np.array([[0.5, 0.0]]), np.array([[0.25, 0.25]]))
    (0.25, 0.75)
    """
    return float(np.minimum(real, fake).sum()), float(np.maximum(real, fake).sum())
