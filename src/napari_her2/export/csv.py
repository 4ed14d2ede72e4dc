"""Scores as CSV: UTF-8, comma separated, safe to open in a spreadsheet.

Text a person wrote must not start a formula, so a cell that begins like one
gets a leading apostrophe (as OWASP advises), which :func:`from_csv` takes off.
Scores need none: "0+", "1+", "2+" and "3+" are text to every spreadsheet. Only a
bare "0" may be shown as the number 0, which is why ``final_meaning`` stands
beside it, and why a pending row leaves its score empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from napari_her2.export.schema import v3
from napari_her2.review.record import ReviewRecord

_STARTS_FORMULA = "=+-@＝＋－＠"  # spreadsheets take the full-width forms too
_GUARD = "'"


def to_csv(records: Iterable[ReviewRecord]) -> bytes:
    """Return the file content, one row per region under a header."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(v3.COLUMNS)
    for record in records:
        rows.writerow(guarded(cell) for cell in v3.row(record).values())
    return out.getvalue().encode()


def from_csv(content: bytes) -> list[dict[str, str]]:
    """Read back what :func:`to_csv` wrote, every cell as text."""
    text = io.StringIO(content.decode(), newline="")
    return [
        {name: unguarded(cell) for name, cell in row.items()}
        for row in csv.DictReader(text)
    ]


def guarded(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula.

    Examples
    --------
    >>> guarded("=1+1"), guarded("1+")
    ("'=1+1", '1+')
    """
    first = cell.strip()[:1]
    # a tab or a line break in front is dropped by some spreadsheets
    is_risky = cell[:1] in (*"\t\r\n",) or first in (*_STARTS_FORMULA, _GUARD)
    return _GUARD + cell if is_risky else cell


def unguarded(cell: str) -> str:
    """Return the text that was guarded."""
    return cell.removeprefix(_GUARD)
