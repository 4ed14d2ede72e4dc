"""What one virtual slide pair is made of: numbers with names and units.

A recipe says everything; the same recipe gives the same pixels. The values
drawn here follow general knowledge of histology and slide scanners; the stain
vectors are those of Ruifrok and Johnston (2001), turned a little per slide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from napari_her2.core.guideline import call_from_shares
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score

Section = Literal["serial", "same"]
Vector = tuple[float, float, float]

HAEMATOXYLIN: Vector = (0.67, 0.67, 0.31)
EOSIN: Vector = (0.12, 0.94, 0.31)
DAB: Vector = (0.27, 0.57, 0.78)


@dataclass(frozen=True, slots=True)
class Architecture:
    """Where things lie; wavelengths in µm, shares in [0, 1].

    ``stroma_density`` is how rarely clefts open between fibres (1 loose, 2.5
    dense); ``nest_share`` is the part of the tumour bed that invasive nests fill,
    ``cordness`` moves it from round nests (0) to cords and files (1).
    """

    bed_share: float = 0.62
    bed_wavelength_um: float = 1100.0
    nest_wavelength_um: float = 130.0
    nest_share: float = 0.55
    cordness: float = 0.3
    gland_share: float = 0.1
    fat_share: float = 0.25
    lymphocyte_share: float = 0.12
    duct_pitch_um: float = 620.0
    in_situ_share: float = 0.3
    normal_duct_share: float = 0.25
    lobule_share: float = 0.15
    vessel_share: float = 0.25
    fibre_waviness: float = 0.5
    stroma_density: float = 1.9
    retraction_um: float = 2.0


@dataclass(frozen=True, slots=True)
class Cytology:
    """How invasive cells look; lengths in µm, coefficients of variation."""

    cell_pitch_um: float = 13.0
    nuclear_diameter_um: float = 9.5
    nuclear_area_cv: float = 0.3
    nuclear_elongation: float = 1.25
    nuclear_irregularity: float = 0.5
    vesicularity: float = 0.5
    chromatin_clumping: float = 0.5
    nucleolus_um: float = 1.4
    mitoses_share: float = 0.002


@dataclass(frozen=True, slots=True)
class Membranes:
    """HER2 protein on the cells of the IHC section.

    ``shares`` are the shares aimed at; the truth is counted. ``clustering`` in
    [0, 1] is how much neighbours resemble each other. ``overlap`` widens the
    intensity ranges of neighbouring classes into each other.
    """

    shares: MembraneShares = field(default_factory=MembraneShares)
    clustering: float = 0.5
    cluster_wavelength_um: float = 220.0
    overlap: float = 0.1
    width_um: float = 0.9
    blush_od: float = 0.05
    in_situ_gain: float = 0.5


@dataclass(frozen=True, slots=True)
class Staining:
    """Dyes and scanner of one slide; optical densities are base 10.

    ``second`` is eosin or DAB. ``grain`` is the relative unevenness of dye at the
    scale of half a micrometre, ``sharpening`` the scanner's own (0 is none).
    """

    haematoxylin: Vector
    second: Vector
    nuclear_od: float
    second_od: float
    background_od: float
    unevenness: float
    white: Vector
    blur_um: float
    sharpening: float
    grain: float
    defocus_um: float
    noise_grey: float
    vignetting: float


@dataclass(frozen=True, slots=True)
class SectionOffset:
    """How the IHC section lies relative to the H&E section.

    The affine part turns and scales about the slide's middle and then shifts;
    ``deformation_um`` is the amplitude of the smooth rest.
    """

    kind: Section = "serial"
    depth_um: float = 4.0
    persistence: float = 0.6
    rotation_deg: float = 5.0
    scale: float = 1.0
    shift_um: tuple[float, float] = (30.0, -20.0)
    deformation_um: float = 15.0
    deformation_wavelength_um: float = 1500.0


@dataclass(frozen=True, slots=True)
class PhantomRecipe:
    """One virtual slide pair, complete."""

    seed: int
    width_um: float
    height_um: float
    mpp: float
    morphology_signal: float
    architecture: Architecture
    cytology: Cytology
    membranes: Membranes
    he: Staining
    ihc: Staining
    offset: SectionOffset

    @property
    def target_score(self) -> Score:
        """Score of the shares aimed at; the counted ones are in the truth."""
        return call_from_shares(self.membranes.shares).score
