"""Drawing the recipe of a varied slide pair.

What H&E shows may depend on the HER2 level, by ``morphology_signal``: nuclear
size, pleomorphism, chromatin, mitoses, the solidity of nests and lymphocytes are
axes that mix the level with a part drawn freely. At 0 they do not depend on it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from napari_her2.core.errors import UsageError
from napari_her2.core.guideline import call_from_shares
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score
from napari_her2.phantom.parameters import (
    DAB,
    EOSIN,
    HAEMATOXYLIN,
    Architecture,
    Cytology,
    Membranes,
    PhantomRecipe,
    Section,
    SectionOffset,
    Staining,
    Vector,
)
from napari_her2.phantom.truth import count_shares

__all__ = ["PhantomRecipe", "draw_recipe"]

_ATTEMPTS = 60


def draw_recipe(
    seed: int,
    *,
    stratum: Score | None = None,
    morphology_signal: float = 0.5,
    width_um: float = 2200.0,
    height_um: float = 1800.0,
    mpp: float = 0.5,
    section: Section = "serial",
) -> PhantomRecipe:
    """Draw a varied slide pair.

    Parameters
    ----------
    seed
        Not negative. The same seed and arguments give the same slides.
    stratum
        The score that the shares counted on the IHC slide must have; None draws
        one of the five equally often. Only the HER2 levels are drawn again to
        reach it, so that the stratum selects no morphology.
    morphology_signal
        In [0, 1]: how strongly H&E carries the HER2 level; 0 is not at all.
    width_um, height_um, mpp
        Size of both slides and their pixel.
    section
        ``"serial"``: the IHC is a neighbouring section; ``"same"``: the same
        section, stained again.

    Raises
    ------
    UsageError
        If a value is out of range, or the slide has too few invasive cells to
        reach the stratum.
    """
    if seed < 0 or not 0 <= morphology_signal <= 1:
        raise UsageError(
            f"seed {seed} or morphology signal {morphology_signal} is out of range.",
            "Give a seed of 0 or more and a signal between 0 and 1.",
        )
    if not (min(width_um, height_um) >= 50 and 0.05 <= mpp <= 20):
        raise UsageError(
            f"A slide of {width_um} x {height_um} µm at {mpp} µm/px cannot be made.",
            "Give at least 50 µm a side and 0.05 to 20 µm/px.",
        )
    for attempt in range(_ATTEMPTS):
        level_rng = np.random.default_rng([seed, 1, attempt])
        aim = stratum or list(Score)[int(level_rng.integers(5))]
        recipe = _draw(
            seed,
            _draw_membranes(level_rng, aim),
            aim,
            morphology_signal,
            (height_um, width_um),
            mpp,
            section,
        )
        if stratum is None:
            return recipe
        n_cells, shares = count_shares(recipe)
        if not n_cells:
            break
        if call_from_shares(shares).score is stratum:
            return recipe
    raise UsageError(
        f"No slide of score {stratum} came of seed {seed}.",
        "Give a larger slide or another seed.",
    )


def _draw_membranes(rng: np.random.Generator, aim: Score) -> Membranes:
    """Draw shares that give a score, often near the guideline's borders."""
    below, above = rng.uniform(0.06, 0.098), rng.uniform(0.105, 0.15)
    intense = complete = incomplete = faint = 0.0
    match aim:
        case Score.ULTRALOW:
            faint = rng.choice([rng.uniform(0.005, 0.095), below])
        case Score.ONE:
            faint = rng.choice([rng.uniform(0.15, 0.8), above])
            complete = rng.choice([0.0, rng.uniform(0, 0.08)])
            incomplete = rng.choice([0.0, rng.uniform(0, 0.08)])
        case Score.TWO:
            kind = rng.choice(
                ["moderate", "few intense", "incomplete"], p=[0.6, 0.3, 0.1]
            )
            faint = rng.uniform(0.1, 0.4)
            if kind == "moderate":
                complete = rng.choice([rng.uniform(0.15, 0.5), above])
                incomplete = rng.uniform(0, 0.1)
            elif kind == "few intense":
                intense = rng.uniform(0.01, 0.09)
                complete = rng.uniform(0.02, 0.4)
            else:
                incomplete = rng.uniform(0.13, 0.4)
                complete = rng.uniform(0, 0.05)
        case Score.THREE:
            intense = rng.choice([rng.uniform(0.35, 0.95), above])
            complete = rng.uniform(0.2, 0.8) * (1 - intense)
            faint = rng.uniform(0, 0.8) * (1 - intense - complete)
    total = max(1.0, intense + complete + incomplete + faint)
    shares = MembraneShares(
        float(intense / total),
        float(complete / total),
        float(incomplete / total),
        float(faint / total),
    )
    return Membranes(
        shares=shares,
        clustering=float(rng.beta(1.2, 1.2)) * 0.9,
        cluster_wavelength_um=float(rng.uniform(90, 400)),
        overlap=float(rng.uniform(0.0, 0.25)),
        width_um=float(rng.uniform(0.8, 1.2)),
        blush_od=float(rng.choice([rng.uniform(0.01, 0.05), rng.uniform(0.03, 0.12)])),
        in_situ_gain=float(rng.uniform(0.0, 1.0)),
    )


def _draw(
    seed: int,
    membranes: Membranes,
    aim: Score,
    signal: float,
    size_um: tuple[float, float],
    mpp: float,
    section: Section,
) -> PhantomRecipe:
    rng = np.random.default_rng([seed, 2])
    level = aim.rank / 2 - 1

    def axis() -> float:
        """One morphological axis in [-1, 1], partly the HER2 level.

        The rest is drawn independently and never vanishes: even at signal 1 a
        single feature does not give the score away.
        """
        own = rng.uniform(-1, 1)
        mixed = signal * level + math.sqrt(1 - (0.9 * signal) ** 2) * own
        return float(np.clip(mixed, -1, 1))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    size, pleomorphism, solidity = axis(), axis(), axis()
    lymphocytes, mitoses, chromatin = axis(), axis(), axis()
    architecture = Architecture(
        bed_share=between(0.5, 0.8),
        bed_wavelength_um=between(800, 1600),
        nest_wavelength_um=150 + 65 * solidity + between(-25, 25),
        nest_share=0.52 + 0.13 * solidity + between(-0.06, 0.06),
        cordness=float(np.clip(0.35 - 0.3 * solidity + between(-0.25, 0.25), 0, 1)),
        gland_share=max(0.0, 0.06 - 0.07 * pleomorphism + between(-0.06, 0.06)),
        fat_share=between(0.08, 0.45),
        lymphocyte_share=0.14 + 0.09 * lymphocytes + between(-0.03, 0.03),
        duct_pitch_um=between(520, 800),
        in_situ_share=between(0.1, 0.5),
        normal_duct_share=between(0.1, 0.25),
        lobule_share=between(0.05, 0.2),
        vessel_share=between(0.3, 0.6),
        fibre_waviness=between(0.3, 0.9),
        stroma_density=between(1.5, 2.4),
        retraction_um=float(rng.choice([0.0, between(0.5, 4.0)])),
    )
    diameter = 9.6 + 1.4 * size + between(-0.4, 0.4)
    cytology = Cytology(
        cell_pitch_um=diameter * between(1.25, 1.5),
        nuclear_diameter_um=diameter,
        nuclear_area_cv=0.32 + 0.13 * pleomorphism,
        nuclear_elongation=between(1.15, 1.4),
        nuclear_irregularity=0.5 + 0.3 * pleomorphism,
        vesicularity=float(np.clip(0.5 + 0.35 * chromatin + between(-0.2, 0.2), 0, 1)),
        chromatin_clumping=between(0.3, 0.9),
        nucleolus_um=1.3 + 0.5 * chromatin,
        mitoses_share=0.002 * 4**mitoses,
    )
    height_um, width_um = size_um
    return PhantomRecipe(
        seed=seed,
        width_um=width_um,
        height_um=height_um,
        mpp=mpp,
        morphology_signal=signal,
        architecture=architecture,
        cytology=cytology,
        membranes=membranes,
        he=_draw_staining(rng, EOSIN, (0.55, 0.95), (0.45, 0.75)),
        ihc=_draw_staining(rng, DAB, (0.2, 0.42), (0.85, 1.15)),
        offset=_draw_offset(rng, section, min(size_um)),
    )


def _draw_staining(
    rng: np.random.Generator,
    second: Vector,
    nuclear_od: tuple[float, float],
    second_od: tuple[float, float],
) -> Staining:
    white = (
        rng.uniform(236, 247)
        + rng.normal(0, 0.8, 3)
        + np.array([0, 0, rng.uniform(0, 4)])
    )
    return Staining(
        haematoxylin=_turned(rng, HAEMATOXYLIN),
        second=_turned(rng, second),
        nuclear_od=float(rng.uniform(*nuclear_od)),
        second_od=float(rng.uniform(*second_od)),
        background_od=float(rng.uniform(0.005, 0.03)),
        unevenness=float(rng.uniform(0.05, 0.15)),
        white=tuple(float(value) for value in np.clip(white, 225, 252)),  # type: ignore[arg-type]
        blur_um=float(rng.uniform(0.16, 0.26)),
        sharpening=float(rng.uniform(0.0, 0.25)),
        grain=float(rng.uniform(0.06, 0.18)),
        defocus_um=float(rng.uniform(0.05, 0.3)),
        noise_grey=float(rng.uniform(0.8, 2.0)),
        vignetting=float(rng.uniform(0.0, 0.02)),
    )


def _turned(rng: np.random.Generator, vector: Vector) -> Vector:
    """Turn a stain vector by 3 to 8 degrees, staying among positive densities."""
    axis = np.asarray(vector) / np.linalg.norm(vector)
    while True:
        push = rng.standard_normal(3)
        push -= axis * (push @ axis)
        angle = math.radians(rng.uniform(3, 8))
        turned = axis * math.cos(angle) + push / np.linalg.norm(push) * math.sin(angle)
        # the blue share decides whether a dye still looks like itself
        if turned.min() > 0.01 and abs(turned[2] - axis[2]) < 0.05:
            r, g, b = turned.tolist()
            return r, g, b


def _draw_offset(
    rng: np.random.Generator, section: Section, side_um: float
) -> SectionOffset:
    serial = SectionOffset(
        kind="serial",
        depth_um=4.0,
        persistence=float(rng.uniform(0.5, 0.7)),
        rotation_deg=float(rng.choice([-1, 1]) * rng.uniform(2, 9)),
        scale=float(rng.uniform(0.99, 1.01)),
        shift_um=tuple(rng.uniform(-0.04, 0.04, 2) * side_um),
        deformation_um=float(rng.uniform(8, 25)),
        deformation_wavelength_um=float(rng.uniform(1000, 3000)),
    )
    if section == "serial":
        return serial
    return replace(
        serial,
        kind="same",
        depth_um=0.0,
        persistence=1.0,
        rotation_deg=float(rng.uniform(-1, 1)),
        scale=1.0,
        deformation_um=0.0,
    )
