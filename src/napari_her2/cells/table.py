"""The cells of one reading as a table: one row a cell, units in the names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from napari_her2.cells.membrane import N_RAYS

CELL_COLUMNS: Final = {
    "y_px": pa.float64(),
    "x_px": pa.float64(),
    "area_um2": pa.float32(),
    "elongation": pa.float32(),
    "haematoxylin_od": pa.float32(),
    "nucleus_dab_od": pa.float32(),
    "cytoplasm_dab_od": pa.float32(),
    "membrane_od": pa.float32(),
    "completeness": pa.float32(),
    "intensity": pa.int8(),
    "completeness_class": pa.int8(),
    "pattern": pa.int8(),
    "tumour_score": pa.float32(),
    "is_tumour": pa.bool_(),
    "outline_um": pa.list_(pa.float32(), N_RAYS),
}
"""Places are level-0 pixels of the slide, pixel centres at halves. ``area_um2``,
``elongation`` and ``haematoxylin_od`` are those of the nucleus; densities of DAB are
means in the nucleus, beside the membrane, and what the strongest tenth of the stained
membrane reaches.
``outline_um`` holds the distances from the place to the membrane, in 36 directions
from x-axis rightwards towards y-axis downwards. H&E has NaN for densities of DAB,
and 0 for the ranks of staining."""


MADE_KEY: Final = b"napari_her2"


def cell_table(**columns: NDArray[np.generic]) -> pa.Table:
    """Build the table; a missing column is an error, as is one too many."""
    if set(columns) != set(CELL_COLUMNS):
        raise ValueError(f"columns do not fit: {set(columns) ^ set(CELL_COLUMNS)}")
    arrays = []
    for name, kind in CELL_COLUMNS.items():
        values = np.asarray(columns[name])
        if pa.types.is_fixed_size_list(kind):
            flat = pa.array(values.astype(np.float32).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, N_RAYS))
        else:
            arrays.append(pa.array(values, kind))
    return pa.table(arrays, names=list(CELL_COLUMNS))


def no_cells() -> pa.Table:
    """Return the table of a slide without cells."""
    return cell_table(
        **{
            name: np.zeros((0, N_RAYS) if name == "outline_um" else 0)
            for name in CELL_COLUMNS
        }
    )


def with_made(cells: pa.Table, made: dict[str, Any]) -> pa.Table:
    """Return the table with how it was made in its schema, as JSON."""
    return cells.replace_schema_metadata({MADE_KEY: json.dumps(made, sort_keys=True)})


def made_of(cells: pa.Table) -> dict[str, Any] | None:
    """Return how a table was made, None where it does not say."""
    try:
        made = json.loads((cells.schema.metadata or {})[MADE_KEY])
    except (KeyError, ValueError):
        return None
    return made if isinstance(made, dict) else None


def write_cells(cells: pa.Table, path: Path) -> None:
    """Write a table by the ending of its path.

    Parquet holds how it was made (:func:`made_of`); CSV holds neither that nor the
    outlines.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        pyarrow.parquet.write_table(cells, path)
        return
    first = ["x_px", "y_px"]
    rest = [n for n in cells.column_names if n not in (*first, "outline_um")]
    pyarrow.csv.write_csv(cells.select([*first, *rest]), path)
