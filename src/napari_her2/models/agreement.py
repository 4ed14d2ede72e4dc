"""Whether two images show the same section, by where their cells lie.

Our own measure. Nuclei and the edges of nests darken both stains, so the darkness of
a reconstruction, band-passed to structures of some 2 to 15 µm, must go with that of
the image it was made from. The correlation needs no registration, for a
reconstruction has the pixels of its source.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

FINE_PX: Final = 4
COARSE_PX: Final = 32
"""Blocks, in pixels, whose means are compared and from which the trend is taken."""


def section_agreement(real: Tensor, reconstruction: Tensor) -> Tensor:
    """Return (B,), correlation in [-1, 1] of the structures of two stains.

    Parameters
    ----------
    real, reconstruction
        (B, 3, h, w) in [0, 1], the same places at the bundle's µm/px.

    Notes
    -----
    0 where one of the images has no structure: nothing then speaks for it.
    """
    one, other = _structure(real), _structure(reconstruction)
    norm = one.norm(dim=1) * other.norm(dim=1)
    return torch.where(norm > 0, (one * other).sum(1) / norm.clamp(min=1e-12), 0.0)


def _structure(image: Tensor) -> Tensor:
    """Return (B, n): darkness of small blocks against that of their surroundings."""
    light = image.float().clamp(min=1 / 255)
    darkness = -light.prod(1, keepdim=True).log10()
    blocks = functional.avg_pool2d(darkness, FINE_PX, ceil_mode=True)
    around = blocks
    reach = COARSE_PX // FINE_PX
    for across in ((reach, 0), (0, reach)):  # a mean of means of equal counts
        size = (2 * across[0] + 1, 2 * across[1] + 1)
        around = functional.avg_pool2d(
            around, size, stride=1, padding=across, count_include_pad=False
        )
    fine = (blocks - around).flatten(1).double()
    return fine - fine.mean(1, keepdim=True)
