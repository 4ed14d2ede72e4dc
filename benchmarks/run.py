"""Run every benchmark, write results.json and the table in the README.

Each benchmark module has ``rows() -> list[dict]`` with the keys ``name``,
``value``, ``unit``, ``goal``, ``met`` and ``command``. Ratios and percentiles
within one run are what counts: absolute times differ between machines.

    python benchmarks/run.py [NAME ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODULES = ("engine", "backends", "window", "big_slide")
MODULES += ("decoding", "hostile_files", "registration", "quality", "cells")
BEGIN, END = "<!-- benchmarks begin -->", "<!-- benchmarks end -->"

Row = dict[str, Any]


def run(name: str) -> list[Row]:
    """Run one benchmark module in a process of its own and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        subprocess.run([sys.executable, HERE / f"{name}.py", out], check=True)
        rows: list[Row] = json.loads(out.read_text())
        return rows


def merge(old: list[Row], new: list[Row]) -> list[Row]:
    """Replace rows of the same name, keep the rest, in a stable order."""
    merged = {row["name"]: row for row in old}
    merged.update((row["name"], row) for row in new)
    return list(merged.values())


def table(rows: list[Row]) -> str:
    """Write rows as a Markdown table."""
    lines = ["| what | measured | goal | met |", "|---|---|---|---|"]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        value = f"{row['value']:.3g} {row['unit']}".strip()
        lines.append(f"| {row['name']} | {value} | {row['goal'] or ''} | {met} |")
    return "\n".join(lines)


def main() -> None:
    """Run the modules named on the command line, or all."""
    results = HERE / "results.json"
    rows = json.loads(results.read_text()) if results.exists() else []
    for name in sys.argv[1:] or MODULES:
        rows = merge(rows, run(name))
    results.write_text(json.dumps(rows, indent=2) + "\n")
    readme = HERE.parent / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")
    print(table(rows))


if __name__ == "__main__":
    main()
