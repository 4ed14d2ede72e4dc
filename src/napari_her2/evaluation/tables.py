"""Tables as CSV for programs and as Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title, with the sentence that must be read with them.

    Parameters
    ----------
    name
        File name without suffix.
    title
        What it shows.
    columns
        Names of the columns.
    rows
        Text, numbers or [value, low, high]; None is empty.
    note
        Number of regions and slides, baseline, split, seeds, bundle.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str

    def markdown(self) -> str:
        """Return the table in Markdown, intervals in brackets.

        Examples
        --------
        >>> print(Table("t", "T", ("arm", "acc"), (("a", [0.5, 0.4, 0.6]),), "n 2."))
        ### T
        <BLANKLINE>
        | arm | acc |
        |---|---|
        | a | 0.500 [0.400, 0.600] |
        <BLANKLINE>
        n 2.
        """
        lines = [
            f"### {self.title}",
            "",
            _line(self.columns),
            "|" + "---|" * len(self.columns),
            *(_line([_shown(cell) for cell in row]) for row in self.rows),
            "",
            self.note,
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.markdown()

    def csv(self) -> str:
        """Return the table as CSV; an interval takes three columns."""
        wide = [
            any(isinstance(row[k], list) for row in self.rows)
            for k in range(len(self.columns))
        ]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        head: list[str] = []
        for name, is_interval in zip(self.columns, wide, strict=True):
            head += [name, f"{name} low", f"{name} high"] if is_interval else [name]
        writer.writerow(head)
        for row in self.rows:
            cells: list[Any] = []
            for cell, is_interval in zip(row, wide, strict=True):
                if not is_interval:
                    cells.append(cell)
                else:
                    cells += cell if isinstance(cell, list) else [cell, None, None]
            writer.writerow(["" if cell is None else cell for cell in cells])
        writer.writerow([f"# {self.note}"])
        return stream.getvalue()


def write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write every table as ``.csv`` and ``.md``; return the paths."""
    paths = []
    for table in tables:
        for suffix, text in ((".csv", table.csv()), (".md", table.markdown() + "\n")):
            path = folder / f"{table.name}{suffix}"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
    return paths


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(cell: Any) -> str:
    match cell:
        case None:
            return "–"
        case [None, *_]:
            return "–"
        case [value, None, None]:
            return _number(value)
        case [value, low, high]:
            return f"{_number(value)} [{_number(low)}, {_number(high)}]"
        case float():
            return _number(cell)
        case _:
            return str(cell)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
