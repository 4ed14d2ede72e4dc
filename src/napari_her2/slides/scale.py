"""Micrometres per pixel: from what a file says to a value one may trust."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from napari_her2.core.errors import SlideError

MIN_MPP: Final = 0.05
MAX_MPP: Final = 20.0

_MICROMETRES = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micrometer": 1.0,
    "micron": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "in": 25400.0,
    "inch": 25400.0,
}


def to_um(value: float, unit: str) -> float | None:
    """Convert a length to µm; None for a unit that is no length.

    Examples
    --------
    >>> to_um(0.25, "µm"), to_um(0.00025, "millimeter"), to_um(1, "pixel")
    (0.25, 0.25, None)
    """
    factor = _MICROMETRES.get(unit) or _MICROMETRES.get(unit.lower().strip())
    return None if factor is None else float(value) * factor


def plausible_mpp(mpp: float | None) -> float | None:
    """Return the value if a microscope slide can have it, else None.

    Slides lie between 0.05 and 20 µm/px. What is outside comes from a default
    (72 dpi is 352.8 µm/px), a wrong unit or a zero, and is unknown.
    """
    if mpp is None or not math.isfinite(mpp):
        return None
    return mpp if MIN_MPP <= mpp <= MAX_MPP else None


def square_mpp(path: Path, y_mpp: float | None, x_mpp: float | None) -> float | None:
    """Return the one µm/px of both axes, None where it is not known.

    Raises
    ------
    SlideError
        If both are plausible and differ by more than 1 %: nothing here can
        measure on pixels that are not square, and a person cannot mend it by
        giving one number.
    """
    y_mpp, x_mpp = plausible_mpp(y_mpp), plausible_mpp(x_mpp)
    if y_mpp is None or x_mpp is None:
        return None
    if abs(y_mpp - x_mpp) > 0.01 * max(y_mpp, x_mpp):
        raise SlideError(
            path,
            f"its pixels are not square ({y_mpp:g} × {x_mpp:g} µm).",
            "Export it again with the same scale on both axes.",
        )
    # 0.4990 on both axes stays 0.4990: a mean may end in ...0001
    return x_mpp if y_mpp == x_mpp else (y_mpp + x_mpp) / 2
