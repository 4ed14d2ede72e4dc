"""``run.json``: what a run says about a region, and how it came to say it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import RESEARCH_USE, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.score import call_to_text, scores_to_text
from napari_her2.inference.result import UNFAMILIAR_DISTANCE, TileState
from napari_her2.inference.store import ResultStore
from napari_her2.models.bundle import Bundle
from napari_her2.slides.pair import SlidePair

RUN_SCHEMA = "napari-her2/run/2"


def run_record(
    store: ResultStore,
    pair: SlidePair,
    bundle: Bundle,
    region: Region,
    suggestion: Suggestion,
    *,
    case_id: str,
) -> dict[str, Any]:
    """Return the content of ``run.json`` as plain values, without its files."""
    return {
        "schema": RUN_SCHEMA,
        "notice": RESEARCH_USE,
        "case_id": case_id,
        **_region_record(region, suggestion.box_px, store),
        **_result_record(suggestion, store, region, bundle),
        "slides": {
            stain.value: {
                "fingerprint": slide.fingerprint,
                "colours": slide.colours.value,
                "pixels": slide.pixels,
                "um_per_px": slide.mpp,
            }
            for stain, slide in pair.slides
        },
        "he_to_ihc_um": [list(row) for row in pair.he_to_ihc_um.rows],
        "he_to_ihc": pair.registration.to_json(),
        "transform_source": pair.registration.method,
    }


def _region_record(region: Region, box: BoxPx, store: ResultStore) -> dict[str, Any]:
    box_um = box.to_um(store.grid.slide_mpp)
    return {
        "region_id": region.region_id,
        "region_name": region.name,
        "region_px": list(box.as_tuple()),
        "region_um": [box_um.y0, box_um.x0, box_um.y1, box_um.x1],
        "region_outline_yx_px": [list(corner) for corner in region.vertices_yx],
    }


def _result_record(
    suggestion: Suggestion, store: ResultStore, region: Region, bundle: Bundle
) -> dict[str, Any]:
    states = [int(store.state[tile]) for tile in store.grid.tiles_in(region)]
    made = suggestion.provenance
    return {
        "suggestion": call_to_text(suggestion.call),
        "probabilities": {s.value: p for s, p in suggestion.probabilities},
        "prediction_set": [score.value for score in suggestion.prediction_set],
        "prediction_set_text": scores_to_text(suggestion.prediction_set),
        "evidence": suggestion.evidence.value,
        "arms": {arm.value: share for arm, share in suggestion.arms},
        "gate": None if suggestion.gate is None else asdict(suggestion.gate),
        "distance": _distances(store, region),
        "forced": suggestion.forced,
        "caution": suggestion.caution,
        "left_out": None
        if suggestion.left_out is None
        else asdict(suggestion.left_out),
        "tiles": {
            "counted": suggestion.n_tiles,
            **{s.name.lower(): states.count(s) for s in TileState},
        },
        "backend": store.identity["backend"],
        "device": store.identity["device"],
        "bundle": {
            "name": bundle.card.name,
            "version": bundle.card.version,
            "sha256": bundle.sha256,
        },
        "software": made.software,
        "synthesis": made.direction,
        "parameters": dict(made.parameters),
    }


def _distances(store: ResultStore, region: Region) -> dict[str, Any]:
    """Return how unfamiliar the tiles of a region are, null where nobody can tell."""
    tiles = [tile for tile in store.grid.tiles_in(region) if store.is_done(tile)]
    values = np.array([store.distance_of(tile) for tile in tiles])
    told = values[np.isfinite(values)]
    return {
        "threshold": UNFAMILIAR_DISTANCE,
        "median": float(np.median(told)) if told.size else None,
        "largest": float(told.max()) if told.size else None,
        "tiles_beyond": int((values > UNFAMILIAR_DISTANCE).sum()),
    }
