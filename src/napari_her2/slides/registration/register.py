"""Register an IHC section on its H&E section, from any orientation.

Every orientation is tried, the best are refined (similarity, then affine), matches
of patches choose among them and bend the result; the bent one is kept only where
the places set aside say that it lies better, and are recognised more often than
chance would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine
from napari_her2.core.registration import Registration
from napari_her2.core.transform import Step, Transform
from napari_her2.slides.registration.alignment import align
from napari_her2.slides.registration.check import check, look, measure_error
from napari_her2.slides.registration.error_squares import Bend
from napari_her2.slides.registration.files import RegistrationFile
from napari_her2.slides.registration.matching import Matches
from napari_her2.slides.registration.parts import Split, split
from napari_her2.slides.registration.section import Section, read_section, shrink
from napari_her2.slides.registration.smooth import fit_affine, fit_warp
from napari_her2.slides.registration.start import (
    KNOWN_SCALES,
    UNKNOWN_SCALES,
    find_starts,
    overlap_factor,
)
from napari_her2.slides.slide import Slide

_COARSE_PX: Final = 256
_STARTS: Final = 6
_FINALISTS: Final = 3
_NEARLY_AS_GOOD: Final = 0.1
_ALIKE: Final = 0.03
"""Share of the section's side by which corners of the same solution may differ."""
_FIRST_REACH_PX: Final = 32
_SECOND_REACH_PX: Final = 16
_KNOT_PX: Final = 64
_LEAST_MATCHES: Final = 12
_GAIN_STRAIGHT: Final = 0.98
_GAIN_BENT: Final = 0.95
"""A change must bring the median error of places set aside below this share."""


@dataclass(frozen=True, slots=True)
class RegistrationStep:
    """How far a registration has come: a share in [0, 1] and what is done now."""

    share: float
    doing: str


def register_slides(
    he: Slide, ihc: Slide
) -> Iterator[RegistrationStep | RegistrationFile]:
    """Register two slides; the last value is the registration with its scales.

    Where the scale of a slide is not known a stand-in is used, which makes slides
    of about the same pixels or, where those are far apart, of the same size.

    Raises
    ------
    SlideError
        If a slide cannot be read or has too little tissue.
    """
    yield RegistrationStep(0.0, "reading the slides")
    scale_known = he.mpp is not None and ihc.mpp is not None
    he_mpp, ihc_mpp = stand_in_scales(he, ihc)
    fixed, moving = read_section(he, he_mpp), read_section(ihc, ihc_mpp)
    for step in register_sections(fixed, moving, scale_known=scale_known):
        if isinstance(step, Registration):
            yield RegistrationFile(step, he_mpp, ihc_mpp, scale_known)
        else:
            yield step


def stand_in_scales(he: Slide, ihc: Slide) -> tuple[float, float]:
    """Return µm/px of both slides, made up where a slide does not know its own."""
    if he.mpp is not None and ihc.mpp is not None:
        return he.mpp, ihc.mpp
    he_mpp = he.mpp or 1.0
    ratio = max(he.shape) / max(ihc.shape)
    if ihc.mpp is not None:
        return (he.mpp or ihc.mpp / (1.0 if 0.5 <= ratio <= 2 else ratio)), ihc.mpp
    return he_mpp, he_mpp * (1.0 if 0.5 <= ratio <= 2 else ratio)


def register_sections(
    fixed: Section, moving: Section, *, scale_known: bool
) -> Iterator[RegistrationStep | Registration]:
    """Register two sections; the last value is the :class:`Registration`.

    Parameters
    ----------
    fixed, moving
        H&E and IHC.
    scale_known
        Whether µm are µm; else sizes from half to double are tried.
    """
    yield RegistrationStep(0.0, "trying every orientation")
    parts = split(fixed)
    scales = KNOWN_SCALES if scale_known else UNKNOWN_SCALES
    starts = find_starts(fixed, moving, scales=scales, count=_STARTS)
    yield RegistrationStep(0.4, "aligning")
    candidates = [start.affine_um for start in starts]
    if scale_known:
        candidates.append(Affine())
    small = fixed.shrunk(_COARSE_PX)
    small_moving = moving.shrunk(_COARSE_PX)
    factor = small.um_per_px / fixed.um_per_px
    fitted = shrink(parts.fitted.astype(np.float32), factor) > 0.5
    coarse = []
    for one in candidates:
        refined, correlation = align(
            small, small_moving, one, motion="similarity", fitted=fitted, levels=(1,)
        )
        coarse.append((refined, correlation * _shared(small, small_moving, refined)))
    finalists: list[tuple[float, Matches, Transform]] = []
    for aligned in _unlike(coarse, fixed.size_um):
        yield RegistrationStep(0.5 + 0.1 * len(finalists), "aligning")
        fine, _ = align(fixed, moving, aligned, motion="affine", fitted=parts.fitted)
        transform = _he_to_ihc(fine)
        found, n_chance = look(
            fixed, moving, transform, parts.fit_px, reach_px=_FIRST_REACH_PX
        )
        finalists.append((len(found) - n_chance, found, transform))
    _, matches, affine = max(finalists, key=lambda one: one[0])
    yield RegistrationStep(0.8, "bending")
    checks = check(fixed, moving, affine, parts)
    off_um = _off(None, checks)
    straight = None
    if len(matches) >= _LEAST_MATCHES:
        straight = fit_affine(matches, um_per_px=fixed.um_per_px)
    bend = _bend(fixed, moving, affine, matches, parts)
    warp = None if bend is None else bend.warp
    better: list[Step] = []
    for candidate, gain in ((straight, _GAIN_STRAIGHT), (warp, _GAIN_BENT)):
        if candidate is not None and _off(candidate, checks) < gain * off_um:
            better.append(candidate)
            off_um = _off(candidate, checks)
    for change in reversed(better):
        changed = Transform("he", "he", (change,)).then(affine)
        is_bent = change is warp
        error = measure_error(fixed, moving, changed, parts, bend if is_bent else None)
        # among places found as by chance a bend lies better by chance
        if is_bent and not error.is_evident:
            continue
        how = "affine and smooth" if is_bent else "affine"
        yield Registration(changed, error, f"automatic, {how}")
        return
    error = measure_error(fixed, moving, affine, parts)
    yield Registration(affine, error, "automatic, affine")


def _shared(fixed: Section, moving: Section, affine: Affine) -> float:
    """Return a factor in [0, 1] that falls with the tissue beyond the other slide.

    Little overlap correlates easily; the same factor counts in every start.
    """
    places = (np.argwhere(fixed.tissue) + 0.5) * fixed.um_per_px
    there = affine.apply(places)
    inside = np.all((there >= 0) & (there < moving.size_um), axis=1)
    return float(overlap_factor(inside.mean())) if len(places) else 0.0


def _unlike(
    found: list[tuple[Affine, float]], size_um: NDArray[np.float64]
) -> list[Affine]:
    """Return the best of several maps, and others nearly as good that differ."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * size_um
    least = max(score for _, score in found) - _NEARLY_AS_GOOD
    chosen: list[Affine] = []
    for affine, score in sorted(found, key=lambda one: -one[1]):
        apart_um = [
            np.abs(affine.apply(corners) - other.apply(corners)).max()
            for other in chosen
        ]
        if score >= least and min(apart_um, default=np.inf) > _ALIKE * max(size_um):
            chosen.append(affine)
    return chosen[:_FINALISTS]


def _he_to_ihc(*steps: Step) -> Transform:
    return Transform("he", "ihc", steps)


def _bend(
    fixed: Section,
    moving: Section,
    affine: Transform,
    matches: Matches,
    parts: Split,
) -> Bend | None:
    """Return a smooth shift, to go before the affine map, that follows matches."""
    fit = partial(
        fit_warp,
        size_um=fixed.size_um,
        spacing_um=_KNOT_PX * fixed.um_per_px,
        um_per_px=fixed.um_per_px,
    )
    warp = fit(matches) if len(matches) >= _LEAST_MATCHES else None
    if warp is None:
        return None
    # once bent, places lie near where they belong: they are looked for again there
    bent = _he_to_ihc(warp, *affine.steps)
    again, _ = look(fixed, moving, bent, parts.fit_px, reach_px=_SECOND_REACH_PX)
    if len(again) < _LEAST_MATCHES:
        return Bend(warp, matches, fit)
    there = again.centres_um + again.shifts_um
    whole = warp.apply(there) - again.centres_um
    again = replace(again, shifts_um=np.asarray(whole))
    warp = fit(again)
    return None if warp is None else Bend(warp, again, fit)


def _off(change: Step | None, checks: Matches) -> float:
    """Return the median distance of places set aside after a change, in µm."""
    if not len(checks):
        return float("inf")
    rest = checks.centres_um + checks.shifts_um
    rest -= checks.centres_um if change is None else change.apply(checks.centres_um)
    return float(np.median(np.linalg.norm(rest, axis=1)))
