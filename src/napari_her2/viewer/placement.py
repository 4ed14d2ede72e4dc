"""Where a layer lies: world coordinates are µm from the corner of the reference.

napari puts the centre of data pixel 0 at 0, so a half pixel is added to each
image layer. That keeps a slide, a tile map of 352 µm pixels and a region drawn
in level-0 pixels exactly on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import Region
from napari_her2.core.score import Stain
from napari_her2.slides.pair import SlidePair

_PIECE_UM = 100.0
_MOST_PIECES = 32
_POINTS_ALONG = 17

STAND_IN_MPP = 1.0
"""Drawn µm/px while the scale is unknown; never used to compute anything."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The scales a case is drawn with.

    ``reference_mpp`` and ``ihc_mpp`` are µm per level-0 pixel of the reference
    slide and of the IHC slide; ``is_measured`` is False while one of them is a
    stand-in, and the world then counts in pixels.
    """

    reference_mpp: float
    ihc_mpp: float
    is_measured: bool

    @property
    def units(self) -> tuple[str, str]:
        """Unit of both axes, the same for every layer of the case."""
        unit = "um" if self.is_measured else "pixel"
        return unit, unit

    def image(self, pixel_um: float) -> dict[str, Any]:
        """Return layer arguments for square pixels that start at the corner."""
        half = pixel_um / 2
        return {
            "scale": (pixel_um, pixel_um),
            "translate": (half, half),
            "units": self.units,
        }

    def outline(self) -> dict[str, Any]:
        """Return layer arguments for corner-based level-0 pixels (shapes)."""
        return {
            "scale": (self.reference_mpp, self.reference_mpp),
            "units": self.units,
        }


def placement_of(pair: SlidePair) -> Placement:
    """Return the scales to draw a pair with."""
    slides = [slide for slide in (pair.he, pair.ihc) if slide is not None]
    is_measured = all(slide.mpp is not None for slide in slides)
    reference = pair.reference.mpp or STAND_IN_MPP
    ihc = (pair.ihc.mpp if pair.ihc is not None else None) or reference
    return Placement(reference, ihc, is_measured)


def slide_to_world(pair: SlidePair, stain: Stain) -> NDArray[np.float64]:
    """Return the (3, 3) matrix from a slide's own µm to the world's µm.

    The world is the H&E slide where there is one; an IHC slide is carried there
    by the inverse of ``he_to_ihc_um``.
    """
    if stain is Stain.HE or pair.he is None:
        return np.eye(3)
    return pair.he_to_ihc_um.inverse().matrix


def drawn_off_um(pair: SlidePair, view_px: BoxPx) -> float:
    """Return how far the IHC layer lies from where it is read, at most in a box.

    Parameters
    ----------
    view_px
        In level-0 pixels of the H&E slide; what lies beside it does not count.

    Returns
    -------
    float
        µm on the H&E; 0 where the registration does not bend.
    """
    if pair.he is None or pair.ihc is None or pair.he_to_ihc.affine is not None:
        return 0.0
    seen = view_px.intersect(BoxPx.of_shape(pair.he.shape))
    if seen.is_empty:
        return 0.0
    box = seen.to_um(placement_of(pair).reference_mpp)
    along = [
        np.linspace(start, end, _POINTS_ALONG)
        for start, end in ((box.y0, box.y1), (box.x0, box.x1))
    ]
    places_um = np.stack(np.meshgrid(*along, indexing="ij"), -1)
    drawn_um = pair.he_to_ihc_um.inverse().apply(pair.he_to_ihc.apply(places_um))
    return float(np.linalg.norm(drawn_um - places_um, axis=-1).max())


def outline_over(region: Region, pair: SlidePair, stain: Stain) -> NDArray[np.float64]:
    """Return where the outline of a region lies over a slide's layer.

    The layer of an IHC slide lies by the nearest affine map. Where the registration
    bends, the outline is bent by what is left, so that it goes round the same tissue
    as on the H&E.

    Returns
    -------
    NDArray[np.float64]
        (n, 2), (y, x) in the world's µm.
    """
    outline = np.array(region.vertices_yx) * placement_of(pair).reference_mpp
    if stain is Stain.HE or pair.he is None or pair.he_to_ihc.affine is not None:
        return outline
    on_ihc = pair.he_to_ihc.apply(_in_pieces(outline))
    return pair.he_to_ihc_um.inverse().apply(on_ihc)


def _in_pieces(outline_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a polygon with further corners on its sides, one every 100 µm."""
    sides = []
    for start, end in zip(outline_um, np.roll(outline_um, -1, 0), strict=True):
        length_um = float(np.linalg.norm(end - start))
        n_pieces = int(np.clip(np.ceil(length_um / _PIECE_UM), 1, _MOST_PIECES))
        along = np.arange(n_pieces)[:, None] / n_pieces
        sides.append(start + (end - start) * along)
    return np.concatenate(sides)
