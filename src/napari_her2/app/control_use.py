"""Control tissue that a reader marked, and what it does to the thresholds of cells.

Marks of 3+ and 0 set them (:mod:`napari_her2.cells.calibration`), unless a reader
switched that off, or the marks are not as they should be: then the usual thresholds
hold, and the words beside the call say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_her2.core.errors import UsageError
from napari_her2.core.records import ControlMark, Suggestion
from napari_her2.core.score import Score

if TYPE_CHECKING:
    from napari_her2.app.state import SessionState
    from napari_her2.cells.calibration import Calibration
    from napari_her2.cells.reading import Keep, SlideLook
    from napari_her2.cells.staining import StainingLimits
    from napari_her2.slides.quality.finding import Finding
    from napari_her2.slides.slide import Slide

SWITCHED_OFF: Final = "Control tissue is marked and not used: a reader switched it off."
CHANGED: Final = "Control tissue was marked or switched since. Read the cells again."
_USUAL: Final = "The usual thresholds hold."
_SETTING: Final = (Score.THREE, Score.ZERO)
_KEY: Final = "control_tissue_px"


@dataclass(frozen=True, slots=True)
class ControlUse:
    """The marks that could set thresholds, and whether a reader lets them."""

    marks: tuple[ControlMark, ...] = ()
    is_on: bool = True

    @classmethod
    def of(cls, state: SessionState) -> ControlUse:
        """Return what holds for the open case."""
        marks = tuple(mark for mark in state.controls if mark.score in _SETTING)
        return cls(marks, state.use_controls)

    @property
    def asked(self) -> list[Any]:
        """The marks that are asked to set thresholds, as plain JSON values."""
        marks = self.marks if self.is_on else ()
        return [[str(mark.score), list(mark.box_px.as_tuple())] for mark in marks]

    def made(self, calibration: Calibration) -> dict[str, Any]:
        """Return what a result keeps of the control tissue, boxes in level-0 px."""
        return {_KEY: self.asked, "dab_factor": calibration.factor}

    def is_that_of(self, suggestion: Suggestion) -> bool:
        """Whether a suggestion was asked for with the same control tissue."""
        told = dict(suggestion.provenance.parameters).get(_KEY, "[]")
        return bool(json.loads(told) == self.asked)

    def set_limits(
        self,
        slide: Slide,
        look: SlideLook,
        check: Finding | None,
        keep_of: Callable[[StainingLimits], Keep],
    ) -> tuple[Calibration, str]:
        """Return thresholds by the control tissue, and in words what it did to them.

        Parameters
        ----------
        check
            What the look at the marks found.
        keep_of
            See :func:`~napari_her2.cells.calibration.calibrate`.
        """
        # imported late: a window opens before anybody reads cells
        from napari_her2.cells.calibration import Calibration, calibrate
        from napari_her2.slides.quality.finding import Severity

        if not self.marks:
            return Calibration(), ""
        if not self.is_on:
            return Calibration(), SWITCHED_OFF
        if check is not None and check.severity is Severity.BLOCK:
            return Calibration(), f"{check.sentence} {_USUAL}"
        try:
            found = calibrate(slide, look, self.marks, keep_of)
        except UsageError as error:
            return Calibration(), f"{error.problem} {_USUAL}"
        return found, self._words(found)

    def _words(self, found: Calibration) -> str:
        scores = {mark.score for mark in self.marks}
        clean = "The 0 control is unstained." if Score.ZERO in scores else ""
        if Score.THREE not in scores:
            return f"{clean} {_USUAL}"
        factor = (
            f"Thresholds of density × {found.factor:.2f} by the 3+ control "
            f"({found.n_cells:,} complete membranes)."
        )
        return f"{factor} {clean}".rstrip()
