"""Which cells are carcinoma: a proposal, where no person drew the tumour.

Tumour nuclei are larger than those of lymphocytes, rounder than those of stroma, and
lie among their like. A membrane stained all round speaks for epithelium. The score
adds these up with weights of general knowledge (nuclear diameters: lymphocyte 6 to
7 µm, carcinoma 8 to 14 µm; the even point follows the slide, whose pale nuclei are
outlined smaller) and is averaged with that of the neighbours. It does not
tell in-situ from invasive carcinoma nor normal glands from either: a region drawn by
a person does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.floating]

NEIGHBOURS: Final = 8
REACH_UM: Final = 30.0
_EVEN_AREA_UM2: Final = (20.0, 36.0)
_EVEN_QUANTILE: Final = 0.35
_AREA_WEIGHT: Final = 3.0
_ELONGATED: Final = 1.9
_ELONGATION_WEIGHT: Final = 2.5
_MEMBRANE_WEIGHT: Final = 2.0
_LONELY: Final = -1.0
_MOST: Final = 3.0


def tumour_score(
    places_um: Floats, area_um2: Floats, elongation: Floats, completeness: Floats
) -> NDArray[np.float32]:
    """Return a score per cell, above 0 for what is proposed as carcinoma.

    Parameters
    ----------
    places_um
        Centres (n, 2) in µm.
    area_um2, elongation
        Of the nucleus.
    completeness
        Share of the membrane that is stained, in [0, 1].
    """
    if not len(area_um2):
        return np.zeros(0, np.float32)
    even = np.clip(np.quantile(area_um2, _EVEN_QUANTILE), *_EVEN_AREA_UM2)
    own = _AREA_WEIGHT * np.log(np.maximum(area_um2, 1) / even)
    own -= _ELONGATION_WEIGHT * np.maximum(elongation - _ELONGATED, 0)
    own = np.clip(own, -_MOST, _MOST) + _MEMBRANE_WEIGHT * completeness
    if len(own) < 2:
        return np.asarray(own, np.float32)
    reach = min(NEIGHBOURS + 1, len(own))
    _, near = cKDTree(places_um).query(
        places_um, k=reach, distance_upper_bound=REACH_UM
    )
    padded = np.append(own, np.nan)
    around = padded[near[:, 1:]]
    is_there = ~np.isnan(around)
    # those that are missing count as stroma
    total = np.where(is_there, around, _LONELY).mean(1)
    return np.asarray(0.5 * own + 0.5 * total, np.float32)
