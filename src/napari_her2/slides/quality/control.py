"""Control tissue beside the patient's: found, or marked by hand, and checked.

Controls are cut as cores, so they are round, alike in size and lie apart from the
tissue in a row. Three are expected to read 0, 1+ and 3+. They are found in the coarse
look, and each is measured closely, by the optical density of DAB in the brownest of
its tissue at 2 µm/px: the faint membranes of a 1+ are thinner than that, and vanish
in pixels of 4 µm. It orders cores of one kind well, and is no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import CONTROL_SCORES, ControlMark
from napari_her2.core.score import Stain
from napari_her2.slides.quality.dyes import amounts
from napari_her2.slides.quality.finding import Finding, FindingKind, Severity
from napari_her2.slides.quality.overview import Overview, densities
from napari_her2.slides.quality.reading import read_averaged
from napari_her2.slides.quality.shapes import Mask, drop_small, solid
from napari_her2.slides.slide import Slide

DIAMETER_UM: Final = (400.0, 3000.0)
LEAST_ROUND: Final = 0.72
"""Least share of its circumscribed circle that a core fills."""
ALIKE: Final = 1.6
"""Largest over smallest diameter of cores that belong together."""
FEWEST: Final = 3
_FEWEST_PX: Final = 80
CLOSE_MPP: Final = 2.0
STAINED_PERCENTILE: Final = 98
"""Of the DAB over a core's tissue: stroma takes any part of a core, and has none."""
MOST_IN_ZERO: Final = 0.10
LEAST_IN_THREE: Final = 0.35
LEAST_STEP: Final = 0.025
LEAST_TIMES: Final = 1.4
MOST_IN_ONE: Final = 0.60
"""DAB density that 98 % of a core's tissue stay below: most in a 0 core, least in a 3+
core, how much more and how many times as much the 1+ core must have as the 0 core, and
at most which share of the 3+ core. Virtual cores (50 good rows) have up to 0.07 in the
0, 0.07 to 0.17 (1.8 times their 0 and more) in the 1+, and 0.90 and more in the 3+; the
real cores of score 0, 1 and 2 have 0.04, 0.08 and 0.34. No real 3+ control was at
hand."""


@dataclass(frozen=True, slots=True)
class Core:
    """One control core: its place in level-0 pixels and the DAB of its brownest."""

    box_px: BoxPx
    dab: float


def find_cores(view: Overview) -> tuple[tuple[BoxPx, ...], Mask]:
    """Return the level-0 boxes of control cores in reading order, and a mask (h, w).

    Nothing is found unless there is other tissue, larger than any of them.
    """
    body = solid(view.tissue, view.px(60))
    body = ndimage.binary_fill_holes(body)
    body = drop_small(body, view.px(150) ** 2)
    labels, _ = ndimage.label(body)
    none: tuple[tuple[BoxPx, ...], Mask] = ((), np.zeros_like(body))
    if not view.is_measured:
        return none
    areas, rounds = [], []
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        object_ = labels[box] == index
        area = int(object_.sum())
        side = max(s.stop - s.start for s in box)
        areas.append(area)
        at_rim = any(
            s.start == 0 or s.stop == full
            for s, full in zip(box, body.shape, strict=True)
        )
        diameter_um = side * view.mpp
        is_round = area >= LEAST_ROUND * np.pi / 4 * side * side
        if is_round and not at_rim and DIAMETER_UM[0] <= diameter_um <= DIAMETER_UM[1]:
            rounds.append((index, box, side, area))
    # a piece of the patient's tissue may be round, too
    usual = np.median([side for _, _, side, _ in rounds] or [0])
    rounds = [one for one in rounds if usual / ALIKE <= one[2] <= usual * ALIKE]
    if len(rounds) < FEWEST or len(rounds) > 8:
        return none
    sides = [side for _, _, side, _ in rounds]
    largest = max(area for _, _, _, area in rounds)
    if max(sides) > ALIKE * min(sides) or max(areas) <= 1.5 * largest:
        return none
    mask = np.isin(labels, [index for index, *_ in rounds])
    boxes = tuple(
        BoxPx(
            round(box[0].start * view.pixel_px),
            round(box[1].start * view.pixel_px),
            round(box[0].stop * view.pixel_px),
            round(box[1].stop * view.pixel_px),
        )
        for _, box, _, _ in rounds
    )
    return boxes, mask


def measure_cores(
    slide: Slide, view: Overview, boxes_px: Sequence[BoxPx]
) -> tuple[Core, ...]:
    """Measure cores that were found, or marked by hand, by their level-0 boxes.

    Raises
    ------
    SlideError
        If pixels cannot be read.
    """
    return tuple(Core(box, _brownest(slide, view, box)) for box in boxes_px)


def _brownest(slide: Slide, view: Overview, box: BoxPx) -> float:
    """Return the DAB density that 98 % of the tissue in a box stay below."""
    wanted = max(1.0, CLOSE_MPP / view.mpp * view.pixel_px)
    box = box.intersect(BoxPx.of_shape(slide.shape))
    image, pixel_px = read_averaged(slide, wanted, box)
    # a core fills its box: what is glass, and what tissue, the whole slide tells
    rows, cols = (
        np.minimum(
            ((start + (np.arange(n) + 0.5) * pixel_px) / view.pixel_px).astype(int),
            side - 1,
        )
        for start, n, side in zip(
            (box.y0, box.x0), image.shape, view.tissue.shape, strict=False
        )
    )
    tissue = view.tissue[np.ix_(rows, cols)]
    if tissue.sum() <= _FEWEST_PX:
        return float("nan")
    _, dab = amounts(densities(image, view.glass), Stain.IHC)
    return float(np.percentile(dab[tissue], STAINED_PERCENTILE))


def check_cores(view: Overview, cores: Sequence[Core], mask: Mask) -> Finding:
    """Say whether three cores read 0, 1+ and 3+, whichever way round they lie."""
    ordered = sorted(core.dab for core in cores if np.isfinite(core.dab))
    if len(ordered) < FEWEST:
        problem = f"only {len(ordered)} of the expected 0, 1+ and 3+ hold tissue"
    else:
        problem = _problem(ordered[0], ordered[1], ordered[-1])
    figures = ", ".join(f"{core.dab:.2f}" for core in cores)
    fine = f"The control tissue reads 0, 1+ and 3+ (DAB density {figures})."
    return _finding(view, mask, problem, fine)


def check_marked(slide: Slide, view: Overview, marks: Sequence[ControlMark]) -> Finding:
    """Say whether control tissue that a reader marked reads what it should.

    Scores that are not marked are named and hold nothing up.

    Raises
    ------
    SlideError
        If pixels cannot be read.
    """
    cores = measure_cores(slide, view, [mark.box_px for mark in marks])
    dab = {mark.score: core.dab for mark, core in zip(marks, cores, strict=True)}
    mask = np.zeros(view.tissue.shape, bool)
    for mark in marks:
        mask[_part(view, mark.box_px)] = True
    empty = [str(score) for score, value in dab.items() if not np.isfinite(value)]
    if empty:
        problem = f"the box marked {' and '.join(empty)} holds no tissue"
    else:
        problem = _problem(*(dab.get(score) for score in CONTROL_SCORES))
    figures = ", ".join(f"{score}: {value:.2f}" for score, value in dab.items())
    missing = [str(score) for score in CONTROL_SCORES if score not in dab]
    fine = f"The control tissue marked reads what it should (DAB density {figures})."
    if missing:
        fine += f" Not marked: {', '.join(missing)}."
    return _finding(view, mask, problem, fine)


def _problem(zero: float | None, one: float | None, three: float | None) -> str:
    """Say what is wrong with the densities of the cores that are there."""
    if zero is not None and zero > MOST_IN_ZERO:
        return f"its 0 has a DAB density of {zero:.2f}, not near 0"
    if three is not None and three < LEAST_IN_THREE:
        return f"its 3+ has a DAB density of {three:.2f}, too little"
    if one is not None and (
        one < max(LEAST_STEP + (zero or 0), LEAST_TIMES * (zero or 0))
        or one > MOST_IN_ONE * (LEAST_IN_THREE if three is None else three)
    ):
        return f"its 1+ does not lie between 0 and 3+ (DAB density {one:.2f})"
    return ""


def _part(view: Overview, box_px: BoxPx) -> tuple[slice, slice]:
    """Return where a level-0 box lies in a look."""
    first = (int(edge / view.pixel_px) for edge in (box_px.y0, box_px.x0))
    last = (int(np.ceil(edge / view.pixel_px)) for edge in (box_px.y1, box_px.x1))
    rows, cols = (slice(*ends) for ends in zip(first, last, strict=True))
    return rows, cols


def _finding(view: Overview, mask: Mask, problem: str, fine: str) -> Finding:
    return Finding(
        FindingKind.CONTROL,
        Severity.BLOCK if problem else Severity.NOTE,
        0.0,
        f"The control tissue failed: {problem}." if problem else fine,
        mask,
        view.pixel_px,
        view.mask_mpp,
    )
