"""The pixels being painted: their places in the tissue, and the dyes laid on.

Painters work on flat arrays of the pixels that concern them, which is what
makes sparse tissue cheap.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain
from napari_her2.phantom.noise import Floats
from napari_her2.phantom.terrain import Terrain

Select = NDArray[np.intp]


class NucleusKind(IntEnum):
    """Whose nucleus shows at a place."""

    NONE = 0
    INVASIVE = 1
    IN_SITU = 2
    LYMPHOCYTE = 3
    FIBROBLAST = 4
    LUMINAL = 5
    BASAL = 6


class Ground:
    """One block of pixels of one section.

    ``y_um`` and ``x_um`` (flat, float64) are places in the H&E frame; ``h`` is
    haematoxylin in units of a typical tumour nucleus and ``second`` is eosin in
    units of dense cytoplasm (H&E) or the optical density of DAB (IHC). The fields
    of the terrain are there as flat float32 arrays. ``nuclei`` (flat, uint8, of
    :class:`NucleusKind`) says whose nucleus lies on top.
    """

    def __init__(
        self,
        terrain: Terrain,
        stain: Stain,
        mpp: float,
        y_um: Floats,
        x_um: Floats,
    ) -> None:
        self.terrain, self.stain, self.mpp = terrain, stain, mpp
        self.y_um, self.x_um = y_um, x_um
        self._spots = terrain.spots(y_um, x_um)
        self.h = np.zeros(y_um.shape, np.float32)
        self.second = np.zeros(y_um.shape, np.float32)
        self.nuclei = np.zeros(y_um.shape, np.uint8)
        self.outline = self.field("outline")
        self.nest = self.field("nest")
        self.duct = self.field("duct")

    @property
    def is_he(self) -> bool:
        """Whether the second dye is eosin."""
        return self.stain is Stain.HE

    def field(self, name: str) -> Floats:
        """Return one field of the terrain at every pixel."""
        return self.terrain.at(name, self._spots)

    def cover(self, inside_um: Floats) -> Floats:
        """How much of a pixel lies inside an edge, from the distance to it."""
        share: Floats = inside_um * np.float32(1 / self.mpp) + np.float32(0.5)
        return np.clip(share, 0, 1, out=share)

    def lay(
        self,
        where: Select,
        cover: Floats,
        h: Floats | float,
        second: Floats | float,
        nucleus: NDArray[np.uint8] | NucleusKind = NucleusKind.NONE,
    ) -> None:
        """Replace what lies at some pixels, as far as they are covered."""
        on_top = cover > 0.5
        self.nuclei[where[on_top]] = (
            nucleus[on_top] if isinstance(nucleus, np.ndarray) else nucleus
        )
        below = self.h[where]
        self.h[where] = below + cover * (np.float32(h) - below)
        below = self.second[where]
        self.second[where] = below + cover * (np.float32(second) - below)
