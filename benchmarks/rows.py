"""The lines of ``results.json``, as every benchmark writes them."""

from __future__ import annotations

import operator
from typing import Any

Row = dict[str, Any]
Rows = list[Row]


def row_of(
    command: str,
    name: str,
    value: float,
    unit: str,
    at_most: float | None = None,
    *,
    at_least: float | None = None,
    exactly: float | None = None,
) -> Row:
    """Return a line; without a goal it only informs.

    Parameters
    ----------
    command
        What measures it.
    at_most, at_least, exactly
        The goal, one of them.
    """
    goal: str | None = None
    met: bool | None = None
    for sign, bound, holds in (
        ("<= ", at_most, operator.le),
        (">= ", at_least, operator.ge),
        ("", exactly, operator.eq),
    ):
        if bound is not None:
            goal, met = f"{sign}{bound:.4g}", bool(holds(value, bound))
    return {
        "name": name,
        "value": float(value),
        "unit": unit,
        "goal": goal,
        "met": met,
        "command": command,
    }
