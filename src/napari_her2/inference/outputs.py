"""The files of a finished region: picture, maps, and a record of how it was made.

Each file appears under its name only once it is complete.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_her2.core.errors import StorageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import FORCED, RESEARCH_USE, Arm, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.whole_file import write_whole
from napari_her2.inference.identity import HE_TO_IHC, IHC_TO_HE
from napari_her2.inference.run_record import run_record
from napari_her2.inference.store import MapName, ResultStore
from napari_her2.models.bundle import Bundle
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.pyramid_writer import write_pyramid

MAPS_NAME, RECORD_NAME = "maps.zarr", "run.json"
_SYNTHETIC = {
    HE_TO_IHC: ("synthetic_ihc", "HER2 IHC from H&E", "H&E"),
    IHC_TO_HE: ("synthetic_he", "H&E from HER2 IHC", "HER2 IHC"),
}

_MEANING = {
    "probabilities": "class probabilities of a tile, in the order of classes",
    "attention": "weighted activation of the strongest channels, 0 to 1",
    "channel_weights": "weights of the channel attention of a tile, 0 to 1",
    "branch_share": "share of the H&E branch against the IHC branch, 0 to 1",
    "arm": "what was scored: "
    + ", ".join(f"{place} {arm}" for place, arm in enumerate(Arm)),
    "gate": "accepted (0 or 1), reward, confidence without and with the "
    "reconstruction, typicality without and with it",
    "distance": "how unfamiliar the tile is, 1 at the threshold",
}


def write_outputs(
    folder: Path,
    store: ResultStore,
    pair: SlidePair,
    bundle: Bundle,
    region: Region,
    suggestion: Suggestion,
    *,
    case_id: str,
) -> list[Path]:
    """Write what a run says about a region and return the files.

    The synthetic stain and the maps cover the region's bounding box; no picture is
    written where the bundle synthesises none. What a forced run made says so.

    Raises
    ------
    StorageError
        If a file cannot be written. Files of that name from before stay.
    """
    with _stored_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
    box = suggestion.box_px
    record = run_record(store, pair, bundle, region, suggestion, case_id=case_id)
    paths = []
    if store.direction:
        name = _SYNTHETIC[store.direction][0]
        paths.append(folder / f"{name}.ome.tif")
        model_box = write_synthetic(paths[-1], store, bundle, box)
        record[name] = {
            "file": paths[-1].name,
            "um_per_px": store.grid.model_mpp,
            "box_model_px": list(model_box.as_tuple()),
        }
    paths.append(folder / MAPS_NAME)
    record["maps"] = write_maps(paths[-1], store, bundle, box)
    paths.append(folder / RECORD_NAME)
    _write_text(paths[-1], json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return paths


def write_synthetic(
    path: Path, store: ResultStore, bundle: Bundle, box_px: BoxPx
) -> BoxPx:
    """Write the synthetic stain of a box, lossless; return the box in model pixels.

    The picture has the model's µm/px; the edges of the box go to the nearest
    model pixel. What was not computed (background) and what was made of tissue the
    bundle does not know is white, the latter unless the run was forced.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    box = _model_box(store, box_px)
    finest = store.synthetic_levels[0]

    def read_block(part: BoxPx) -> NDArray[np.uint8]:
        y0, x0 = box.y0 + part.y0, box.x0 + part.x0
        rgba = finest[y0 : y0 + part.height, x0 : x0 + part.width]
        rgba[rgba[..., 3] == 0] = 255
        return np.ascontiguousarray(rgba[..., :3])

    _, name, source = _SYNTHETIC[store.direction]
    mark = f"{FORCED.capitalize()}. " if store.forced else ""
    write_pyramid(
        path,
        box.shape,
        store.grid.model_mpp,
        read_block,
        compression="zlib",
        synthetic=True,
        name=f"FORCED {name}" if store.forced else name,
        description=(
            f"{mark}Bundle {bundle.card.name} {bundle.card.version} {bundle.sha256}; "
            f"level-0 box of the {source} {box_px.as_tuple()}. {RESEARCH_USE}"
        ),
    )
    return box


def write_maps(
    path: Path, store: ResultStore, bundle: Bundle, box_px: BoxPx
) -> dict[str, Any]:
    """Write the maps of the tiles that meet a box as a zarr group; describe them.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    tiles = np.array(store.grid.tiles_in(box_px))
    (row0, col0), (row1, col1) = tiles.min(axis=0), tiles.max(axis=0) + 1
    tile_um = store.grid.core_px * store.grid.model_mpp
    origin_um = [float(row0) * tile_um, float(col0) * tile_um]
    about: dict[str, Any] = {}
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    with _stored_in(path.parent):
        try:
            group = zarr.create_group(
                draft,
                attributes={
                    "classes": list(bundle.card.classes),
                    "forced": store.forced,
                },
            )
            for name in get_args(MapName):
                values = store.map(name)
                if values is None:
                    continue
                per_tile = values.shape[0] // store.grid.n_rows
                part = np.array(
                    values[
                        row0 * per_tile : row1 * per_tile,
                        col0 * per_tile : col1 * per_tile,
                    ]
                )
                about[name] = {
                    "meaning": _MEANING[name],
                    "um_per_element": store.map_mpp(name),
                    "origin_um": origin_um,
                    "shape": list(part.shape),
                }
                group.create_array(name, data=part, attributes=about[name])
            if path.exists():
                shutil.rmtree(path)
            draft.rename(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return {"file": path.name, "classes": list(bundle.card.classes), **about}


def _model_box(store: ResultStore, box_px: BoxPx) -> BoxPx:
    scale = store.grid.px_per_model_px
    y0, x0, y1, x1 = (int(np.floor(edge / scale + 0.5)) for edge in box_px.as_tuple())
    height, width = store.grid.model_shape
    y0, x0 = min(y0, height - 1), min(x0, width - 1)
    return BoxPx(y0, x0, min(max(y1, y0 + 1), height), min(max(x1, x0 + 1), width))


def _write_text(path: Path, text: str) -> None:
    with _stored_in(path.parent):
        write_whole(path, text)


@contextmanager
def _stored_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            folder,
            f"they cannot be written ({error.strerror or error}).",
            "Free space there or choose another folder, then run again.",
            "Results",
        ) from error
