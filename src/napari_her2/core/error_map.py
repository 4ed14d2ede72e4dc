"""Where on a section a registration was checked, and how far it is off there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from napari_her2.core.geometry import BoxPx
from napari_her2.core.region import overlap_area

MAX_CELLS: Final = 1 << 14
LEAST_CHECKED: Final = 0.5
"""Share of the tissue of a region that must be checked to speak for it."""
_QUANTILE: Final = 0.9


@dataclass(frozen=True, slots=True)
class ErrorCell:
    """A square of the H&E section that holds tissue.

    Parameters
    ----------
    row, col
        Its place in the map.
    tissue
        Which share of it is tissue, above 0 to 1.
    error_um
        How far the registration is off in it; None where nothing in it was
        recognised on the other section, so that nobody knows.
    """

    row: int
    col: int
    tissue: float
    error_um: float | None


@dataclass(frozen=True, slots=True)
class LocalError:
    """What is known of a part of a section.

    Parameters
    ----------
    p90_um
        90th percentile of the error over the checked tissue, NaN without any.
    checked
        Share of the tissue that is checked, NaN where there is no tissue.
    """

    p90_um: float
    checked: float

    @property
    def is_known(self) -> bool:
        """Whether enough is checked to speak for this part."""
        return self.checked >= LEAST_CHECKED  # not where it is NaN


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """The error of a registration, square by square.

    Parameters
    ----------
    origin_um
        (y, x) of the upper left corner of cell (0, 0), from that of the H&E slide; it
        may lie beside the slide.
    cell_um
        Side of a cell.
    cells
        Those with tissue, each once.
    """

    origin_um: tuple[float, float]
    cell_um: float
    cells: tuple[ErrorCell, ...]

    def within(self, outline_um: Iterable[Sequence[float]]) -> LocalError:
        """Return what is known of the part inside a polygon of (y, x) µm."""
        y0, x0 = self.origin_um
        outline = [
            ((y - y0) / self.cell_um, (x - x0) / self.cell_um) for y, x in outline_um
        ]
        ys, xs = zip(*outline, strict=True)
        y0, y1, x0, x1 = min(ys) - 1, max(ys), min(xs) - 1, max(xs)
        return _summed_up(
            (cell, overlap_area(outline, box) * cell.tissue)
            for cell in self.cells
            if y0 < cell.row < y1 and x0 < cell.col < x1
            for box in (BoxPx(cell.row, cell.col, cell.row + 1, cell.col + 1),)
        )

    @property
    def whole(self) -> LocalError:
        """What is known of all tissue."""
        return _summed_up((cell, cell.tissue) for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; see :meth:`from_json`."""
        return {
            "origin_um": list(self.origin_um),
            "cell_um": self.cell_um,
            "cells": [
                [cell.row, cell.col, cell.tissue, cell.error_um] for cell in self.cells
            ],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ErrorMap:
        """Build from plain values.

        Raises
        ------
        ValueError
            If a value makes no map.
        """
        match fields:
            case {"origin_um": [y, x], "cell_um": cell_um, "cells": list(cells)}:
                numbers = (y, x, cell_um)
                if all(map(is_number, numbers)) and cell_um > 0:
                    if len(cells) > MAX_CELLS:
                        raise ValueError("its map of errors has too many cells")
                    found = tuple(_cell(one) for one in cells)
                    return cls((float(y), float(x)), float(cell_um), found)
        raise ValueError("its map of errors is none")


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _cell(fields: Any) -> ErrorCell:
    match fields:
        case [int(row), int(col), tissue, error] if (
            min(row, col) >= 0
            and is_number(tissue)
            and 0 < tissue <= 1
            and (error is None or (is_number(error) and error >= 0))
        ):
            return ErrorCell(row, col, float(tissue), error and float(error))
    raise ValueError("a cell of its map of errors is none")


def _summed_up(weighed: Iterable[tuple[ErrorCell, float]]) -> LocalError:
    """Return the 90th percentile over cells by weight, and the share that is known."""
    cells = [(cell.error_um, weight) for cell, weight in weighed if weight > 0]
    total = math.fsum(weight for _, weight in cells)
    known = sorted((error, weight) for error, weight in cells if error is not None)
    checked = math.fsum(weight for _, weight in known)
    if not total:
        return LocalError(math.nan, math.nan)
    p90_um, below = math.nan, 0.0
    for error, weight in known:
        p90_um, below = error, below + weight
        if below >= _QUANTILE * checked:
            break
    return LocalError(p90_um, checked / total)
