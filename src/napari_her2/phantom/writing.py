"""A virtual pair as files: two slides, a case manifest and the truth.

The truth is ``truth.json`` (recipe, transform, shares, score, round structures)
and one Parquet table of cells per section.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet

from napari_her2.core.errors import StorageError
from napari_her2.core.guideline import call_from_shares
from napari_her2.core.score import Stain
from napari_her2.phantom.parameters import PhantomRecipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells, count_shares, regions
from napari_her2.slides.case import Case, write_case

JPEG_QUALITY = 80


def write_pair(recipe: PhantomRecipe, folder: Path | str) -> Path:
    """Write a pair into a folder (made when missing) and return its manifest.

    Memory is bounded by rows of tiles for the slides and by the number of cells
    for the truth.

    Raises
    ------
    StorageError
        If the folder or a file cannot be written.
    """
    # imported here, so that rendering alone opens no file library
    from napari_her2.slides.pyramid_writer import write_pyramid

    folder = Path(folder)
    pair = VirtualPair(recipe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stain in Stain:
            table = cells(pair, stain)
            pyarrow.parquet.write_table(
                table, folder / f"{stain}_cells.parquet", compression="zstd"
            )
        # one field a line: polygons spread over lines help nobody
        lines = [
            f"{json.dumps(k)}: {json.dumps(v)}" for k, v in _describe(pair).items()
        ]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        (folder / "truth.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            folder,
            f"the virtual pair cannot be written ({error.strerror or error}).",
            "Free space on that disk or choose another folder, then try again.",
        ) from error
    for stain in Stain:
        write_pyramid(
            folder / f"{stain}.ome.tif",
            pair.shape_px(stain),
            recipe.mpp,
            lambda box, stain=stain: pair.render(stain, box),  # type: ignore[misc]
            quality=JPEG_QUALITY,
            name=f"virtual {stain.label}",
            description=f"Virtual tissue, seed {recipe.seed}; no patient.",
        )
    manifest = folder / f"virtual-{recipe.seed:05d}.her2case.json"
    write_case(
        Case(
            case_id=f"virtual-{recipe.seed:05d}",
            he=folder / "he.ome.tif",
            ihc=folder / "ihc.ome.tif",
            he_to_ihc_um=pair.he_to_ihc_um,
            transform_source="manifest",
        ),
        manifest,
    )
    return manifest


def _describe(pair: VirtualPair) -> dict[str, Any]:
    recipe = pair.recipe
    n_cells, shares = count_shares(recipe)
    call = call_from_shares(shares)
    return {
        "schema": "napari-her2/phantom-truth/1",
        "score": str(call.score),
        "rule": call.rule,
        "n_invasive_cells": n_cells,
        "shares": asdict(shares),
        "transform": {
            "he_to_ihc_um": pair.he_to_ihc_um.rows,
            "ihc_to_he_waves": pair.transform.waves,
            "meaning": "ihc_to_he(p) = inverse affine(p)"
            " + sum of (ay, ax) * sin(ky * y + kx * x + phase)"
            " over waves (ky, kx, phase, ay, ax); points (y, x) in micrometres",
        },
        "regions": regions(pair),
        "recipe": asdict(recipe),
    }
