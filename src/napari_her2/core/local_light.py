"""What may be done with a registration in a part of the tissue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from napari_her2.core.error_map import LocalError
from napari_her2.core.registration import ErrorLimits, Light, RegistrationError


def light_at(
    error: RegistrationError | None, cell_um: float | None, limits: ErrorLimits
) -> Light | None:
    """Return the light of a square, None where it is not checked.

    Where the registration as a whole is red, what was recognised is chance.
    """
    if error is None or cell_um is None or not error.is_told:
        return None
    return limits.light(cell_um) if error.is_evident else Light.RED


def shares_by_light(
    error: RegistrationError, limits: ErrorLimits
) -> dict[Light | None, float]:
    """Return which share of the tissue has which light; None is not checked."""
    shares: dict[Light | None, float] = dict.fromkeys((*Light, None), 0.0)
    cells = () if error.local is None else error.local.cells
    total = math.fsum(cell.tissue for cell in cells)
    for cell in cells:
        shares[light_at(error, cell.error_um, limits)] += cell.tissue / total
    return shares


def error_within(
    error: RegistrationError | None,
    outline_um: Iterable[Sequence[float]],
    limits: ErrorLimits,
) -> tuple[LocalError, Light | None] | None:
    """Return what is known of the error inside a polygon, with its light.

    Parameters
    ----------
    outline_um
        (y, x) µm from the corner of the H&E slide.

    Returns
    -------
    tuple or None
        The light is None where too little is checked; None where there is no map.
    """
    if error is None or error.local is None:
        return None
    found = error.local.within(outline_um)
    known_um = found.p90_um if found.is_known else None
    return found, light_at(error, known_um, limits)
