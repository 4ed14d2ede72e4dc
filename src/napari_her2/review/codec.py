"""Events as text and back: the one place that knows how the journal spells them.

Each kind of event has a name that never changes, and each field one way to be
written. Reading is strict: an unknown kind, or a missing or an unknown field,
comes from another version and is refused rather than dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, NamedTuple

from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineReading
from napari_her2.core.proportion import Interval
from napari_her2.core.records import (
    Arm,
    CellBasis,
    ControlMark,
    Evidence,
    GateVerdict,
    LeftOut,
    Provenance,
    Reader,
    Suggestion,
)
from napari_her2.core.region import Region
from napari_her2.core.registration import Registration
from napari_her2.core.score import Score, call_from_text, call_to_text
from napari_her2.review.events import (
    AnyEvent,
    CaseOpened,
    CellCorrected,
    CellsShown,
    Confirmed,
    ControlsMarked,
    ControlsUsed,
    Deferred,
    Exported,
    FirstRead,
    Overridden,
    OwnRead,
    QualityOverruled,
    ReasonCode,
    RegionDrawn,
    RegionKey,
    RegionRemoved,
    Registered,
    RegistrationSet,
    Reopened,
    Revealed,
    SuggestionMade,
)

KINDS: dict[str, type[AnyEvent]] = {
    "case opened": CaseOpened,
    "region drawn": RegionDrawn,
    "region removed": RegionRemoved,
    "suggestion made": SuggestionMade,
    "first read": FirstRead,
    "revealed": Revealed,
    "cells shown": CellsShown,
    "confirmed": Confirmed,
    "overridden": Overridden,
    "own read": OwnRead,
    "deferred": Deferred,
    "reopened": Reopened,
    "registered": Registered,
    "registration set": RegistrationSet,
    "quality overruled": QualityOverruled,
    "controls marked": ControlsMarked,
    "controls used": ControlsUsed,
    "cell corrected": CellCorrected,
    "exported": Exported,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


class UnreadableEventError(ValueError):
    """The text is no event that this version of the software knows."""


def kind_of(event: AnyEvent) -> str:
    """Return the name under which this kind of event is stored."""
    return _NAMES[type(event)]


def encode(event: AnyEvent) -> str:
    """Write the content of an event as one line of JSON.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    content = {
        field.name: _FIELDS[field.name].write(getattr(event, field.name))
        for field in fields(event)
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True)


def decode(kind: str, payload: str) -> AnyEvent:
    """Read back what :func:`encode` wrote.

    Raises
    ------
    UnreadableEventError
        If the kind or a field is unknown, or a value is missing or malformed.
    """
    if kind not in KINDS:
        raise UnreadableEventError(f"events of the kind {kind!r} are unknown here")
    wanted = {field.name for field in fields(KINDS[kind])}
    try:
        content = json.loads(payload)
        if set(content) != wanted:
            odd = ", ".join(sorted(set(content) ^ wanted))
            raise ValueError(f"fields missing or unknown: {odd}")
        values = {name: _FIELDS[name].read(content[name]) for name in wanted}
        return KINDS[kind](**values)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableEventError(f"malformed {kind!r} event: {error}") from error


class _Field(NamedTuple):
    """How one field is written as plain JSON values, and read back."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(item)) for name, item in value)


def _key_to_json(key: RegionKey) -> dict[str, Any]:
    return {
        "case_id": key.case_id,
        "slides": [list(slide) for slide in key.slides],
        "region_id": key.region_id,
    }


def _key_from_json(content: Any) -> RegionKey:
    return RegionKey(
        _text(content["case_id"]),
        _pairs(content["slides"]),
        _text(content["region_id"]),
    )


def _region_to_json(region: Region) -> dict[str, Any]:
    return {
        "region_id": region.region_id,
        "name": region.name,
        "vertices_yx": [list(point) for point in region.vertices_yx],
        "is_excluded": region.is_excluded,
    }


def _region_from_json(content: Any) -> Region:
    return Region(
        _text(content["region_id"]),
        _text(content["name"]),
        tuple((float(y), float(x)) for y, x in content["vertices_yx"]),
        _truth(content.get("is_excluded", False)),
    )


def _gate_to_json(gate: GateVerdict | None) -> dict[str, Any] | None:
    return None if gate is None else asdict(gate)


def _gate_from_json(content: Any) -> GateVerdict | None:
    if content is None:
        return None
    numbers = {
        field.name: float(content[field.name])
        for field in fields(GateVerdict)
        if field.name not in ("accepted", "reason")
    }
    return GateVerdict(
        accepted=_truth(content["accepted"]), reason=_text(content["reason"]), **numbers
    )


def _cells_to_json(cells: CellBasis | None) -> dict[str, Any] | None:
    if cells is None:
        return None
    reading = asdict(cells.reading)
    shares = [[_number(v) for v in share.values()] for share in reading["shares"]]
    told = {"call": call_to_text(cells.reading.call), "shares": shares}
    return {
        "reading": reading | told | {"h_score": _number(cells.reading.h_score)},
        "n_judged": cells.n_judged,
        "tumour": cells.tumour,
        "heterogeneity": cells.heterogeneity,
        "controls": cells.controls,
    }


def _cells_from_json(content: Any) -> CellBasis | None:
    if content is None:
        return None
    reading = content["reading"]
    h_score = reading["h_score"]
    return CellBasis(
        GuidelineReading(
            call=call_from_text(reading["call"]),
            rule=_text(reading["rule"]),
            is_convention=_truth(reading["is_convention"]),
            n_cells=int(reading["n_cells"]),
            shares=tuple(
                Interval(*(math.nan if v is None else float(v) for v in share))
                for share in reading["shares"]
            ),
            straddles=_texts(reading["straddles"]),
            advice=_texts(reading["advice"]),
            h_score=None if h_score is None else float(h_score),
        ),
        n_judged=int(content["n_judged"]),
        tumour=_text(content["tumour"]),
        heterogeneity=_text(content["heterogeneity"]),
        controls=_text(content.get("controls", "")),
    )


def _number(value: float | None) -> float | None:
    """Return a number as JSON has it: none where there is none."""
    return None if value is None or math.isnan(value) else value


def _suggestion_to_json(suggestion: Suggestion) -> dict[str, Any]:
    provenance = suggestion.provenance
    return {
        "region_id": suggestion.region_id,
        "call": call_to_text(suggestion.call),
        "probabilities": [[str(s), float(p)] for s, p in suggestion.probabilities],
        "evidence": str(suggestion.evidence),
        "box_px": list(suggestion.box_px.as_tuple()),
        "n_tiles": suggestion.n_tiles,
        "arms": [[str(arm), float(share)] for arm, share in suggestion.arms],
        "prediction_set": [str(score) for score in suggestion.prediction_set],
        "gate": _gate_to_json(suggestion.gate),
        "forced": suggestion.forced,
        "cells": _cells_to_json(suggestion.cells),
        "left_out": None
        if suggestion.left_out is None
        else asdict(suggestion.left_out),
        "provenance": {
            "slides": [list(slide) for slide in provenance.slides],
            "bundle": provenance.bundle,
            "bundle_sha256": provenance.bundle_sha256,
            "software": provenance.software,
            "parameters": [list(item) for item in provenance.parameters],
            "direction": provenance.direction,
        },
    }


def _suggestion_from_json(content: Any) -> Suggestion:
    provenance = content["provenance"]
    y0, x0, y1, x1 = content["box_px"]
    return Suggestion(
        region_id=_text(content["region_id"]),
        call=call_from_text(content["call"]),
        probabilities=tuple((Score(s), float(p)) for s, p in content["probabilities"]),
        evidence=Evidence(content["evidence"]),
        box_px=BoxPx(int(y0), int(x0), int(y1), int(x1)),
        n_tiles=int(content["n_tiles"]),
        provenance=Provenance(
            slides=_pairs(provenance["slides"]),
            bundle=_text(provenance["bundle"]),
            bundle_sha256=_text(provenance["bundle_sha256"]),
            software=_text(provenance["software"]),
            parameters=_pairs(provenance["parameters"]),
            direction=_text(provenance["direction"]),
        ),
        # journals written before these existed are read as they were meant
        arms=tuple((Arm(a), float(share)) for a, share in content.get("arms", ())),
        prediction_set=tuple(Score(s) for s in content.get("prediction_set", ())),
        gate=_gate_from_json(content.get("gate")),
        forced=_truth(content.get("forced", False)),
        cells=_cells_from_json(content.get("cells")),
        left_out=_left_out_from_json(content.get("left_out")),
    )


def _left_out_from_json(content: Any) -> LeftOut | None:
    if content is None:
        return None
    return LeftOut(
        share=float(content["share"]),
        n_tiles=int(content["n_tiles"]),
        beyond_um=float(content["beyond_um"]),
    )


def _controls_to_json(controls: tuple[ControlMark, ...]) -> list[Any]:
    return [[str(mark.score), list(mark.box_px.as_tuple())] for mark in controls]


def _controls_from_json(content: Any) -> tuple[ControlMark, ...]:
    marks = []
    for score, (y0, x0, y1, x1) in content:
        box_px = BoxPx(int(y0), int(x0), int(y1), int(x1))
        marks.append(ControlMark(Score(score), box_px))
    return tuple(marks)


def _reader_to_json(reader: Reader) -> str:
    return reader.name


_FIELDS: dict[str, _Field] = {
    "key": _Field(_key_to_json, _key_from_json),
    "utc": _Field(datetime.isoformat, datetime.fromisoformat),
    "reader": _Field(_reader_to_json, Reader),
    "region": _Field(_region_to_json, _region_from_json),
    "suggestion": _Field(_suggestion_to_json, _suggestion_from_json),
    "registration": _Field(Registration.to_json, Registration.from_json),
    "call": _Field(call_to_text, call_from_text),
    "code": _Field(str, ReasonCode),
    "note": _Field(_same, _text),
    "stain": _Field(_same, _text),
    "finding": _Field(_same, _text),
    "controls": _Field(_controls_to_json, _controls_from_json),
    "is_used": _Field(_same, _truth),
    "y_px": _Field(float, float),
    "x_px": _Field(float, float),
    "verdict": _Field(str, CellVerdict),
    "files": _Field(list, _texts),
    "journal_head": _Field(_same, _text),
}
