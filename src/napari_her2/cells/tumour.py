"""Which cells are carcinoma: a proposal, where no person drew the tumour.

Tumour nuclei are larger than those of lymphocytes, rounder than those of stroma, and
lie among their like. A membrane stained all round speaks for epithelium. The score
adds these up with weights of general knowledge (nuclear diameters: lymphocyte 6 to
7 µm, carcinoma 8 to 14 µm; small and large are told apart by Otsu's threshold of the
slide, as pale nuclei are outlined smaller) and is averaged with that of the
neighbours. It does not
tell in-situ from invasive carcinoma nor normal glands from either: a region drawn by
a person does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.filters import threshold_otsu

Floats = NDArray[np.floating]

NEIGHBOURS: Final = 8
REACH_UM: Final = 30.0
_EVEN_AREA_UM2: Final = (20.0, 40.0)
_AREA_WEIGHT: Final = 3.0
_ELONGATED: Final = 1.7
_ELONGATION_WEIGHT: Final = 2.5
_DARKNESS_WEIGHT: Final = 1.0
_MEMBRANE_WEIGHT: Final = 2.0
_MOST: Final = 3.0
_ALONE: Final = -1.0


def tumour_score(
    places_um: Floats,
    area_um2: Floats,
    elongation: Floats,
    haematoxylin_od: Floats,
    completeness: Floats,
) -> NDArray[np.float32]:
    """Return a score per cell, above 0 for what is proposed as carcinoma.

    Parameters
    ----------
    places_um
        Centres (n, 2) in µm.
    area_um2, elongation, haematoxylin_od
        Of the nucleus.
    completeness
        Share of the membrane that is stained, in [0, 1].
    """
    if len(area_um2) < 2:
        return np.zeros(len(area_um2), np.float32)
    size = np.log(np.maximum(area_um2, 1))
    even = np.clip(threshold_otsu(size), *np.log(_EVEN_AREA_UM2))
    darkness = np.log(np.maximum(haematoxylin_od, 0.02))
    own = _AREA_WEIGHT * (size - even)
    own -= _ELONGATION_WEIGHT * np.maximum(elongation - _ELONGATED, 0)
    own -= _DARKNESS_WEIGHT * (darkness - np.median(darkness))
    own = np.clip(own, -_MOST, _MOST) + _MEMBRANE_WEIGHT * completeness
    _, near = cKDTree(places_um).query(
        places_um, k=min(NEIGHBOURS + 1, len(own)), distance_upper_bound=REACH_UM
    )
    around = np.append(own, np.nan)[near[:, 1:]]
    # a neighbour that is not there speaks for stroma
    beside = np.where(np.isnan(around), _ALONE, around).mean(1)
    return np.asarray(0.5 * own + 0.5 * beside, np.float32)
