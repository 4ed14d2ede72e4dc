"""Control tissue beside the patient's: found, or marked by hand, and checked.

Controls are cut as cores, so they are round, alike in size and lie apart from the
tissue in a row. Three are expected to read 0, 1+ and 3+. Each is measured by the
optical density of DAB in the brownest of its tissue at about 4 µm/px; that orders
cores of one kind well, and is no score.
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
from napari_her2.slides.quality.overview import Overview
from napari_her2.slides.quality.shapes import Mask, drop_small, solid

DIAMETER_UM: Final = (400.0, 3000.0)
LEAST_ROUND: Final = 0.72
"""Least share of its circumscribed circle that a core fills."""
ALIKE: Final = 1.6
"""Largest over smallest diameter of cores that belong together."""
APART_UM: Final = 150.0
FEWEST: Final = 3
MOST_IN_ZERO: Final = 0.06
LEAST_IN_THREE: Final = 0.20
LEAST_STEP: Final = 0.018
MOST_IN_ONE: Final = 0.60
"""DAB density that 95 % of a core's tissue stay below: most in a 0 core, least in a 3+
core, how much more the 1+ core must have than the 0 core, and at most which share of
the 3+ core. Virtual cores (20 rows) have 0.01 to 0.04, 0.05 to 0.09 and 0.24 to 0.48,
with steps from 0.025; the real cores of score 0, 1 and 2 have 0.03, 0.06 and 0.27. No
real 3+ control was at hand."""
STAINED_PERCENTILE: Final = 95
"""Of the DAB over a core's tissue: stroma takes any part of a core, and has none."""


@dataclass(frozen=True, slots=True)
class Core:
    """One control core: its place in level-0 pixels and the DAB of its brownest."""

    box_px: BoxPx
    dab: float


def find_cores(view: Overview) -> tuple[tuple[Core, ...], Mask]:
    """Return control cores in reading order, and a mask (h, w) of them.

    Nothing is found unless there is other tissue, larger than any of them.
    """
    body = solid(view.tissue, view.px(60))
    body = ndimage.binary_fill_holes(body)
    body = drop_small(body, view.px(150) ** 2)
    labels, _ = ndimage.label(body)
    none: tuple[tuple[Core, ...], Mask] = ((), np.zeros_like(body))
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
    if len(rounds) < FEWEST or len(rounds) > 8:
        return none
    sides = [side for _, _, side, _ in rounds]
    largest = max(area for _, _, _, area in rounds)
    if max(sides) > ALIKE * min(sides) or max(areas) <= 1.5 * largest:
        return none
    mask = np.isin(labels, [index for index, *_ in rounds])
    boxes = [
        BoxPx(
            round(box[0].start * view.pixel_px),
            round(box[1].start * view.pixel_px),
            round(box[0].stop * view.pixel_px),
            round(box[1].stop * view.pixel_px),
        )
        for _, box, _, _ in rounds
    ]
    return measure_cores(view, boxes), mask


def measure_cores(view: Overview, boxes_px: Sequence[BoxPx]) -> tuple[Core, ...]:
    """Measure cores that were found, or marked by hand, by their level-0 boxes."""
    _, dab = amounts(view.density, Stain.IHC)
    cores = []
    for box in boxes_px:
        part = _part(view, box)
        tissue = view.tissue[part]
        brownest = float("nan")
        if tissue.sum() > 20:
            brownest = float(np.percentile(dab[part][tissue], STAINED_PERCENTILE))
        cores.append(Core(box, brownest))
    return tuple(cores)


def check_cores(view: Overview, cores: Sequence[Core], mask: Mask) -> Finding:
    """Say whether three cores read 0, 1+ and 3+, whichever way round they lie."""
    densities = [core.dab for core in cores]
    ordered = sorted(d for d in densities if np.isfinite(d))
    if len(ordered) < FEWEST:
        problem = f"only {len(ordered)} of the expected 0, 1+ and 3+ hold tissue"
    else:
        problem = _problem(ordered[0], ordered[1], ordered[-1])
    figures = ", ".join(f"{d:.2f}" for d in densities)
    fine = f"The control tissue reads 0, 1+ and 3+ (DAB density {figures})."
    return _finding(view, mask, problem, fine)


def check_marked(view: Overview, marks: Sequence[ControlMark]) -> Finding:
    """Say whether control tissue that a reader marked reads what it should.

    Scores that are not marked are named and hold nothing up.
    """
    cores = measure_cores(view, [mark.box_px for mark in marks])
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
        one < LEAST_STEP + (zero or 0)
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
