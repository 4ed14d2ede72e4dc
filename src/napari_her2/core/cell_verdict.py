"""What a person says a cell is, in the words of the guideline."""

from __future__ import annotations

from enum import StrEnum

from napari_her2.core.membrane import MembranePattern


class CellVerdict(StrEnum):
    """A reader's word on one cell; it is written into the journal.

    The first five are membrane patterns, in their order. ``WITHDRAWN`` takes an
    earlier word back: the cell counts as it was read again.

    Examples
    --------
    >>> CellVerdict.of(MembranePattern.COMPLETE_INTENSE)
    <CellVerdict.COMPLETE_INTENSE: 'complete intense'>
    """

    NONE = "no staining"
    FAINT_INCOMPLETE = "faint incomplete"
    INCOMPLETE_MODERATE_INTENSE = "incomplete moderate to intense"
    COMPLETE_WEAK_MODERATE = "complete weak to moderate"
    COMPLETE_INTENSE = "complete intense"
    NOT_TUMOUR = "not a tumour cell"
    WITHDRAWN = "as read"

    @classmethod
    def of(cls, pattern: MembranePattern) -> CellVerdict:
        """Return the verdict that a cell has this pattern."""
        return cls[pattern.name]

    @property
    def pattern(self) -> MembranePattern | None:
        """The pattern it names, None where it names none."""
        return MembranePattern.__members__.get(self.name)
