"""Set the thresholds of staining by control tissue on the same slide.

A laboratory stains darker or paler from run to run, and the tissue of known score that
it puts on each slide changes with it. So how strong the membranes of the 3+ control
are, over how strong they usually are, is the factor by which every threshold of density
is multiplied. Shares of the way round stay as they are. A convention of this program:
the guideline asks whether controls stained as they should and corrects nothing by them,
so the factor is bounded, and a control that is not as it should be is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from napari_her2.cells.reading import Keep, SlideLook, propose_tumour, read_cells
from napari_her2.cells.staining import StainingLimits
from napari_her2.cells.table import no_cells
from napari_her2.core.errors import UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import ControlMark
from napari_her2.core.score import Score
from napari_her2.slides.slide import Slide

USUAL_OD: Final = 0.70
"""Median density of the complete membranes of a 3+ control stained as usual: of eight
virtual ones .49 to .94, median .72. No real 3+ control was at hand."""

FACTORS: Final = (0.6, 1.6)
LEAST_CELLS: Final = 30
LEAST_COMPLETE: Final = 0.3
MOST_STAINED: Final = 0.1
"""Shares of the cells: least with a complete membrane in a 3+ control, and most with
any staining in a 0 control."""

_DENSITIES: Final = (
    *("stained_od", "crest_od", "wall_od", "around_od", "clear_od"),
    *("weak_od", "moderate_od", "intense_od"),
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds multiplied by a factor, and what it rests on.

    ``control_od`` is the median density of the ``n_cells`` complete membranes of the 3+
    control; NaN and 0 where none was marked.
    """

    limits: StainingLimits = field(default_factory=StainingLimits)
    factor: float = 1.0
    control_od: float = float("nan")
    n_cells: int = 0


def scaled(limits: StainingLimits, factor: float) -> StainingLimits:
    """Return thresholds with every density multiplied."""
    return replace(
        limits, **{name: factor * getattr(limits, name) for name in _DENSITIES}
    )


def calibrate(
    slide: Slide,
    look: SlideLook,
    controls: Sequence[ControlMark],
    keep_of: Callable[[StainingLimits], Keep] | None = None,
) -> Calibration:
    """Read marked control tissue and set the thresholds by it.

    The 3+ control sets the factor; a 0 control is read with the new thresholds and must
    not be stained. A 1+ control is not used.

    Parameters
    ----------
    keep_of
        Returns where tiles come from that were read before with given thresholds.

    Raises
    ------
    UsageError
        If a control lies beside the slide, has too few cells or is not as it should be.
    """
    boxes = {mark.score: mark.box_px for mark in controls}
    read = partial(_cells, slide, look, keep_of)
    found = Calibration()
    if Score.THREE in boxes:
        cells = read(boxes[Score.THREE], "3+", found.limits)
        complete = cells["completeness"].to_numpy() >= found.limits.complete_share
        share = complete.mean()
        if share < LEAST_COMPLETE:
            raise _refusal(f"the 3+ has a complete membrane in {share:.0%} of cells")
        control_od = float(np.median(cells["membrane_od"].to_numpy()[complete]))
        factor = control_od / USUAL_OD
        if not FACTORS[0] <= factor <= FACTORS[1]:
            raise _refusal(
                f"the membranes of the 3+ are {factor:.2f} times as dense as usual, "
                f"not {FACTORS[0]:g} to {FACTORS[1]:g}"
            )
        limits = scaled(found.limits, factor)
        found = Calibration(limits, factor, control_od, int(complete.sum()))
    if Score.ZERO in boxes:
        cells = read(boxes[Score.ZERO], "0", found.limits)
        share = (cells["pattern"].to_numpy() > 0).mean()
        if share > MOST_STAINED:
            raise _refusal(f"the 0 is stained in {share:.0%} of cells")
    return found


def _cells(
    slide: Slide,
    look: SlideLook,
    keep_of: Callable[[StainingLimits], Keep] | None,
    box_px: BoxPx,
    name: str,
    limits: StainingLimits,
) -> pa.Table:
    inside = box_px.intersect(BoxPx.of_shape(slide.shape))
    parts = [no_cells()]
    if not inside.is_empty:
        keep = None if keep_of is None else keep_of(limits)
        steps = read_cells(slide, look, region_px=inside, limits=limits, keep=keep)
        parts += [step.cells for step in steps]
    cells = propose_tumour(pa.concat_tables(parts).combine_chunks(), slide.mpp or 0.0)
    cells = cells.filter(cells["is_tumour"])
    if cells.num_rows < LEAST_CELLS:
        raise _refusal(f"the {name} has {cells.num_rows} cells, not {LEAST_CELLS}")
    return cells


def _refusal(problem: str) -> UsageError:
    return UsageError(
        f"The control tissue cannot be used: {problem}.",
        "Check the control and its box, or score without it.",
    )
