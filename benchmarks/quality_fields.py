"""Virtual fields of which the truth is known: clean, spoiled, and with controls.

Rendering takes as long as three looks at a field; fields are kept in a folder if one
is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.artefacts import Field, white_of
from napari_her2.phantom.artefacts_control import ControlCores
from napari_her2.phantom.artefacts_draw import ArtefactKind, draw_artefact
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import FindingKind, QualityReport, Severity
from napari_her2.slides.slide import Slide
from napari_her2.slides.source import SlideSource

SIZE_UM = (1100.0, 1400.0)
MPP = 1.0
OVERLAP = 0.2

K, F = ArtefactKind, FindingKind
NAMED: dict[ArtefactKind, tuple[FindingKind, ...]] = {
    K.PEN: (F.PEN,),
    K.FOLD: (F.FOLD,),
    K.BUBBLE: (F.BUBBLE,),
    K.DROPLETS: (F.DROPLETS,),
    # dirt that lets nothing through is no other thing than black ink
    K.SMUDGE: (F.SMUDGE, F.PEN),
    K.FOCUS_PATCH: (F.OUT_OF_FOCUS,),
    K.FOCUS_FIELD: (F.OUT_OF_FOCUS,),
    K.CRUSH: (F.CRUSH,),
    K.EDGE: (F.EDGE,),
    # so pale that hardly any tissue is seen
    K.WEAK: (F.WEAK, F.NO_TISSUE),
    K.STRONG: (F.STRONG,),
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A field to look at, and the folder it is kept in."""

    seed: int
    stain: Stain
    folder: Path | None = None


def slide_of(image: np.ndarray, mpp: float) -> Slide:
    """Return a field in memory as a slide."""
    source = SlideSource([ArrayBlocks(image)], mpp, "blake2b:00", lambda: None)
    return Slide(Path("field"), source)


def virtual_field(seed: int, stain: Stain, folder: Path | None = None) -> Field:
    """Render one field, or take it from a folder."""
    kept = None if folder is None else folder / f"{seed}-{stain.value}.npy"
    if kept is not None and kept.exists():
        return Field(np.load(kept), MPP, stain)
    height, width = SIZE_UM
    recipe = draw_recipe(seed, width_um=width, height_um=height, mpp=MPP)
    pair = VirtualPair(recipe)
    image = pair.render(stain, BoxPx.of_shape(pair.shape_px(stain)))
    if kept is not None:
        np.save(kept, image)
    return Field(image, MPP, stain)


def is_found(report: QualityReport, kind: ArtefactKind, truth: np.ndarray) -> bool:
    """Whether an artefact is named as a warning or worse, where it lies."""
    for finding in report.findings:
        if finding.kind not in NAMED[kind] or finding.severity is Severity.NOTE:
            continue
        if finding.mask is None:
            return True
        rows, cols = (
            np.minimum((np.arange(n) / finding.pixel_px).astype(int), side - 1)
            for n, side in zip(truth.shape, finding.mask.shape, strict=True)
        )
        mask = finding.mask[np.ix_(rows, cols)]
        # a pen is a rim round what it hides as little as a bubble is its rim
        if (mask & truth).sum() >= OVERLAP * truth.sum():
            return True
    return False


def look_at_field(job: Job) -> Row:
    """Assess one field clean and with an artefact of every kind in turn."""
    field = virtual_field(job.seed, job.stain, job.folder)
    report = assess_quality(slide_of(field.image, MPP), job.stain)
    alarms = [str(f.kind) for f in report.findings if f.severity is not Severity.NOTE]
    found = []
    for kind in ArtefactKind:
        spoiled = draw_artefact(kind, job.seed, field).lay_over(field)
        report = assess_quality(slide_of(spoiled.field.image, MPP), job.stain)
        hit = is_found(report, kind, spoiled.mask)
        named = [f"{f.kind} ({f.severity})" for f in report.findings]
        found.append([str(kind), hit, named])
    return {
        "seed": job.seed,
        "stain": job.stain.value,
        "alarms": alarms,
        "found": found,
    }


def look_at_control(seed: int) -> Row:
    """Assess an IHC slide with a good control, and with one that failed."""
    recipe = draw_recipe(seed, width_um=1800, height_um=1200, mpp=2.0)
    pair = VirtualPair(recipe)
    image = pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))
    height, width, _ = image.shape
    glass = np.random.default_rng(seed).normal(white_of(image), 1, (450, width, 3))
    image = np.concatenate([image, glass.clip(0, 255).astype(np.uint8)])
    field = Field(image, 2.0, Stain.IHC)
    good = (Score.ZERO, Score.ONE, Score.THREE)
    bad = [(Score.ZERO, Score.ZERO, Score.ONE), (Score.THREE,) * 3][seed % 2]
    place = ((height + 225) * 2.0, 900.0)
    answers = []
    for scores in (good, bad):
        cores = ControlCores(place, 400.0, scores, seed, recipe.ihc)
        report = assess_quality(
            slide_of(cores.lay_over(field).field.image, 2.0), field.stain
        )
        finding = report.of(F.CONTROL)
        answers.append(
            None if finding is None else [str(finding.severity), finding.sentence]
        )
    return {"seed": seed, "good": answers[0], "bad": answers[1]}
