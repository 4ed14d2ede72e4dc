"""Two sections of one made-up block, cheap to draw and with known truth."""

import math

import numpy as np
from scipy import ndimage

from napari_her2.core.geometry import Affine

SHAPE = (420, 560)
MPP = 4.0


class Block:
    """Tissue with lumens and nuclei as functions of the place in H&E pixels."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        wide = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 28)
        fine = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 5)
        grain = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5)
        y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
        edge = 0.8 - np.hypot(y, x * 0.9) + 0.25 * wide / wide.std()
        self.tissue = (edge > 0) & (fine > -1.1 * fine.std())
        self.nuclei = np.clip(grain / grain.std(), 0, 2) * (wide > -wide.std())

    def image(self, rows, columns, colour):
        """RGB at places (h, w) in H&E pixels, stained with two colours."""
        tissue, nuclei = (
            ndimage.map_coordinates(
                one.astype(float), [rows, columns], order=1, mode="constant"
            )
            for one in (self.tissue, self.nuclei)
        )
        density = tissue[..., None] * (
            np.array(colour) * 0.35 + nuclei[..., None] * np.array([0.3, 0.3, 0.14])
        )
        return np.rint(240 * 10**-density).clip(0, 255).astype(np.uint8)


def pair_images(seed, truth, *, other=None, bend_px=0.0):
    """H&E and IHC images; ``truth`` maps H&E to IHC µm before the bend."""
    block = Block(seed)
    rows, columns = np.indices(SHAPE).astype(float)
    he = block.image(rows, columns, (0.1, 0.6, 0.2))
    back = truth.inverse()
    places = back.apply((np.stack([rows, columns], -1) + 0.5) * MPP) / MPP - 0.5
    places[..., 0] += bend_px * np.sin(places[..., 1] / 90)
    ihc = (other or block).image(places[..., 0], places[..., 1], (0.2, 0.25, 0.3))
    return he, ihc


def turned(deg, scale=1.0, shift_um=(0.0, 0.0), *, mirrored=False):
    """A turn about the middle, in µm."""
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    linear = scale * np.array([[c, s], [-s, c]]) @ np.diag([1, -1 if mirrored else 1])
    middle = np.array(SHAPE) * MPP / 2
    shift = middle + shift_um - linear @ middle
    return Affine.from_matrix(np.column_stack([linear, shift]))
