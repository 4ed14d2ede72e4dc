"""What the network sees of a tile, read from one slide or from the pair.

Real IHC is read in the frame of the H&E: the tile's place on the H&E, in µm,
goes through the pair's transform to a place on the IHC. Where less than half of
a tile's core lies on the IHC slide there is no IHC to speak of; such a tile
is read from H&E alone and is stored with that evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import NotReadyError
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.records import Evidence
from napari_her2.core.region import overlap_area
from napari_her2.core.score import Stain
from napari_her2.core.transform import Transform
from napari_her2.inference.grid import Tile, TileGrid
from napari_her2.models.card import Card
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.resample import read_bent, read_mapped
from napari_her2.slides.slide import Slide

COARSEST_SLIDE = 1.5
"""How much coarser than the model a slide may be before results mean nothing."""

COVERED_SHARE = 0.5
"""Share of a tile's core that the IHC slide must cover to be read."""


@dataclass(frozen=True, slots=True, eq=False)
class TileInput:
    """One tile with its halo: uint8 (T, T, 3) per stain, None where absent."""

    tile: Tile
    evidence: Evidence
    he: NDArray[np.uint8] | None
    ihc: NDArray[np.uint8] | None


class TileReader:
    """Reads tiles of a pair for a bundle; safe from several threads at once.

    Raises
    ------
    NotReadyError
        If the bundle cannot read the stains that are there, the scale of a
        slide is unknown, or a slide is too coarse for the bundle.
    """

    def __init__(self, pair: SlidePair, card: Card) -> None:
        self.he = pair.he if Stain.HE in card.inputs else None
        self.ihc = pair.ihc if Stain.IHC in card.inputs else None
        self.he_to_ihc = pair.he_to_ihc
        self.reference = _reference(self.he, self.ihc, card)
        self.grid = _grid(self.reference, card)
        if self.he is not None and self.ihc is not None:
            _grid(self.ihc, card)

    @property
    def slides(self) -> tuple[tuple[Stain, Slide], ...]:
        """The slides that are read, H&E first."""
        both = ((Stain.HE, self.he), (Stain.IHC, self.ihc))
        return tuple((stain, slide) for stain, slide in both if slide is not None)

    @cached_property
    def evidence(self) -> Evidence:
        """What the run as a whole rests on."""
        if self.he is None:
            return Evidence.IHC_ONLY
        return Evidence.HE_ONLY if self.ihc is None else Evidence.BOTH

    def evidence_of(self, tile: Tile) -> Evidence:
        """Return which images a tile is read from."""
        if self.evidence is not Evidence.BOTH or self._ihc_share(tile) >= COVERED_SHARE:
            return self.evidence
        return Evidence.HE_ONLY

    def read(self, tile: Tile) -> TileInput:
        """Read a tile; what lies outside a slide is white."""
        evidence = self.evidence_of(tile)
        shape = (self.grid.tile_px, self.grid.tile_px)
        to_reference = self.grid.to_level0(*tile)
        he = ihc = None
        if self.he is not None:
            he = read_mapped(self.he, to_reference, shape)
        if self.ihc is not None and evidence is not Evidence.HE_ONLY:
            ihc = self._read_ihc(self.ihc, to_reference, shape)
        return TileInput(tile, evidence, he, ihc)

    def _read_ihc(
        self, ihc: Slide, to_reference: Affine, shape: tuple[int, int]
    ) -> NDArray[np.uint8]:
        affine = self._to_ihc.affine
        if affine is not None:
            return read_mapped(ihc, to_reference.then(affine), shape)
        return read_bent(
            ihc, lambda points: self._to_ihc.apply(to_reference.apply(points)), shape
        )

    @cached_property
    def _to_ihc(self) -> Transform:
        """Level-0 pixels of the reference -> level-0 pixels of the IHC."""
        if self.he is None or self.ihc is None:
            return Transform("ihc pixels", "ihc pixels")
        to_um = Transform("he pixels", "he", (Affine.scaling(_known_mpp(self.he)),))
        to_px = Affine.scaling(1 / _known_mpp(self.ihc))
        return to_um.then(self.he_to_ihc).then(Transform("ihc", "ihc pixels", (to_px,)))

    def _ihc_share(self, tile: Tile) -> float:
        if self.ihc is None:
            return 0.0
        core = self._to_ihc.apply(self.grid.core_box_px(*tile).corners_yx())
        whole = BoxPx(
            *np.floor(core.min(axis=0)).astype(int).tolist(),
            *np.ceil(core.max(axis=0)).astype(int).tolist(),
        )
        slide = BoxPx.of_shape(self.ihc.shape)
        return overlap_area(core, slide) / overlap_area(core, whole)


def _reference(he: Slide | None, ihc: Slide | None, card: Card) -> Slide:
    reference = he if he is not None else ihc
    if reference is None:
        wanted = " or ".join(Stain(name).label for name in card.inputs)
        raise NotReadyError(
            f"The bundle {card.name} reads {wanted}, and the case has none.",
            f"Add a slide of {wanted} to the case or choose another bundle.",
        )
    return reference


def _known_mpp(slide: Slide) -> float:
    if slide.mpp is None:
        raise NotReadyError(
            f"{slide.name}: its scale is unknown.",
            "Give its µm per pixel in the Case dock, the manifest or with --mpp.",
        )
    return slide.mpp


def _grid(slide: Slide, card: Card) -> TileGrid:
    mpp = _known_mpp(slide)
    if mpp > COARSEST_SLIDE * card.mpp:
        raise NotReadyError(
            f"{slide.name}: it has {mpp:g} µm/px, too coarse for the bundle "
            f"{card.name}, which reads {card.mpp:g} µm/px.",
            "Open a slide scanned at a higher magnification or choose another bundle.",
        )
    return TileGrid(slide.shape, mpp, card.mpp, card.core_px, card.halo_px)
