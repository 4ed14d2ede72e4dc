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
        part = np.s_[
            int(box.y0 / view.pixel_px) : int(np.ceil(box.y1 / view.pixel_px)),
            int(box.x0 / view.pixel_px) : int(np.ceil(box.x1 / view.pixel_px)),
        ]
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
    problem = ""
    if len(ordered) < FEWEST:
        problem = f"only {len(ordered)} of the expected 0, 1+ and 3+ hold tissue"
    elif ordered[0] > MOST_IN_ZERO:
        problem = f"the palest has a DAB density of {ordered[0]:.2f}, not near 0"
    elif ordered[-1] < LEAST_IN_THREE:
        problem = f"the darkest has a DAB density of {ordered[-1]:.2f}, no 3+"
    elif not ordered[0] + LEAST_STEP < ordered[1] < MOST_IN_ONE * ordered[-1]:
        problem = f"none reads 1+ between 0 and 3+ (DAB density {ordered[1]:.2f})"
    figures = ", ".join(f"{d:.2f}" for d in densities)
    if problem:
        severity = Severity.BLOCK
        sentence = f"The control tissue failed: {problem}."
    else:
        severity = Severity.NOTE
        sentence = f"The control tissue reads 0, 1+ and 3+ (DAB density {figures})."
    return Finding(
        FindingKind.CONTROL,
        severity,
        0.0,
        sentence,
        mask,
        view.pixel_px,
        view.mask_mpp,
    )
