"""Events survive being written, and what is not understood is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.geometry import Affine, BoxPx
from napari_her2.core.guideline import read_counts
from napari_her2.core.membrane import IntensityCounts, PatternCounts
from napari_her2.core.records import (
    CONTROL_SCORES,
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
from napari_her2.core.registration import Registration, RegistrationError
from napari_her2.core.score import NotAssessable, Score
from napari_her2.core.transform import Transform, Warp
from napari_her2.review import events as ev
from napari_her2.review.codec import (
    KINDS,
    UnreadableEventError,
    decode,
    encode,
    kind_of,
)

words = st.text(st.characters(exclude_categories=["Cs"]))
names = words.filter(str.strip)
pairs = st.lists(st.tuples(words, words), max_size=3).map(tuple)
calls = st.sampled_from(Score) | names.map(NotAssessable)
numbers = st.floats(-1e9, 1e9)
OUTLINE = ((0.0, 0.0), (0.0, 9.0), (9.5, 1 / 3))
suggestions = st.builds(
    Suggestion,
    region_id=words,
    call=calls,
    probabilities=st.lists(st.tuples(st.sampled_from(Score), numbers)).map(tuple),
    evidence=st.sampled_from(Evidence),
    box_px=st.builds(BoxPx, *[st.integers()] * 4),
    n_tiles=st.integers(),
    provenance=st.builds(
        Provenance, slides=pairs, bundle=words, bundle_sha256=words, software=words,
        parameters=pairs, direction=words,
    ),
    arms=st.lists(st.tuples(st.sampled_from(Arm), numbers)).map(tuple),
    prediction_set=st.lists(st.sampled_from(Score)).map(tuple),
    gate=st.none() | st.builds(GateVerdict, st.booleans(), *[numbers] * 5, words),
    forced=st.booleans(),
    cells=st.none()
    | st.builds(
        CellBasis,
        st.builds(
            lambda counts: read_counts(
                PatternCounts(*counts), intensities=IntensityCounts(*counts)
            ),
            st.lists(st.integers(0, 300), min_size=5, max_size=5).filter(any),
        )
        | st.just(read_counts(PatternCounts())),
        st.integers(0, 9),
        words,
        words,
        words,
    ),
    left_out=st.none() | st.builds(LeftOut, numbers, st.integers(), numbers),
)  # fmt: skip
thousandths = st.integers(0, 10**6).map(lambda number: number / 1000)
affines = st.builds(
    lambda a, b, c, y, x: Affine(((1 + a, b, y), (c, 1 - a, x))),
    *[st.floats(-0.3, 0.3)] * 3,
    *[numbers] * 2,
)
knots = st.lists(st.integers(-9000, 9000), min_size=32, max_size=32)
warps = st.builds(
    lambda values: Warp((0.0, -50.0), 100.0, np.reshape(values, (4, 4, 2)) / 1000),
    knots,
)
registrations = st.builds(
    Registration,
    st.builds(
        Transform,
        st.just("he"),
        st.just("ihc"),
        st.lists(affines | warps, max_size=2).map(tuple),
    ),
    st.none()
    | st.builds(
        RegistrationError,
        thousandths,
        thousandths,
        st.integers(0, 9),
        st.integers(9, 99),
        st.none() | thousandths,
    ),
    words,
)
controls = st.builds(
    ControlMark,
    st.sampled_from(CONTROL_SCORES),
    st.builds(
        lambda y, x, height, width: BoxPx(y, x, y + height, x + width),
        *[st.integers(0, 10**6)] * 2,
        *[st.integers(1, 10**6)] * 2,
    ),
)
contents = {
    "registration": registrations,
    "key": st.builds(ev.RegionKey, names, pairs, st.just("r1")),
    "utc": st.datetimes(timezones=st.just(UTC)),
    "reader": st.builds(Reader, names),
    "region": st.builds(Region, st.just("r1"), words, st.just(OUTLINE), st.booleans()),
    "suggestion": suggestions,
    "call": calls,
    "code": st.sampled_from(ev.ReasonCode),
    "note": words,
    "stain": st.sampled_from(["he", "ihc"]),
    "finding": words,
    "controls": st.lists(controls, max_size=3).map(tuple),
    "is_used": st.booleans(),
    "y_px": numbers,
    "x_px": numbers,
    "verdict": st.sampled_from(CellVerdict),
    "files": st.lists(words).map(tuple),
    "journal_head": words,
}
any_event = st.one_of(
    st.builds(kind, **{field.name: contents[field.name] for field in fields(kind)})
    for kind in KINDS.values()
)


@given(any_event)
def test_every_event_survives_being_written(event):
    assert decode(kind_of(event), encode(event)) == event


def test_every_kind_has_a_name():
    assert set(KINDS.values()) == set(get_args(ev.AnyEvent))


READ = ev.FirstRead(
    key=ev.RegionKey("case", (("he", "blake2b:aa"),), "r1"),
    utc=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    reader=Reader("Anna Müller"),
    call=Score.ULTRALOW,
)


def test_the_spelling_on_disk_does_not_drift():
    assert kind_of(READ) == "first read"
    assert encode(READ) == (
        '{"call": "0+", "key": {"case_id": "case", "region_id": "r1", '
        '"slides": [["he", "blake2b:aa"]]}, "reader": "Anna Müller", '
        '"utc": "2026-01-02T03:04:05.000006+00:00"}'
    )


NEW = ("arms", "prediction_set", "gate", "forced")


def test_a_suggestion_from_before_arms_and_sets_is_read(make_suggestion):
    made = ev.SuggestionMade(key=READ.key, utc=READ.utc, suggestion=make_suggestion())
    content = json.loads(encode(made))
    for name in NEW:
        del content["suggestion"][name]
    assert decode("suggestion made", json.dumps(content)) == made


@pytest.mark.parametrize(
    "change",
    [
        {"arms": [["both", 1.0]]},
        {"prediction_set": ["4+"]},
        {"gate": {"accepted": True}},
        {"forced": "yes"},
    ],
)
def test_a_malformed_part_of_a_suggestion_is_refused(make_suggestion, change):
    made = ev.SuggestionMade(key=READ.key, utc=READ.utc, suggestion=make_suggestion())
    content = json.loads(encode(made))
    content["suggestion"] |= change
    with pytest.raises(UnreadableEventError, match="malformed 'suggestion made'"):
        decode("suggestion made", json.dumps(content))


def test_a_kind_from_a_newer_version_is_refused():
    with pytest.raises(UnreadableEventError, match="'signed' are unknown"):
        decode("signed", encode(READ))


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.5},
        {"reader": None},
        {"reader": " "},
        {"call": "4+"},
        {"call": 0},
        {"utc": "yesterday"},
        {"utc": "2026-01-02T03:04:05"},
        {"key": {"case_id": "case"}},
        {"key": {"case_id": 5, "slides": [], "region_id": ""}},
    ],
)
def test_content_that_is_not_understood_is_refused(change):
    content = json.loads(encode(READ)) | change
    with pytest.raises(UnreadableEventError, match="malformed 'first read'"):
        decode("first read", json.dumps(content))


@pytest.mark.parametrize("payload", ["", "[]", "3", "null", "{}", "[" * 100_000])
def test_text_that_is_no_event_is_refused(payload):
    with pytest.raises(UnreadableEventError):
        decode("first read", payload)


def test_a_missing_field_is_refused():
    content = json.loads(encode(READ))
    del content["reader"]
    with pytest.raises(UnreadableEventError, match="missing or unknown: reader"):
        decode("first read", json.dumps(content))


def test_a_probability_that_is_not_a_number_is_not_written(make_suggestion):
    broken = Suggestion(
        region_id="r1",
        call=Score.TWO,
        probabilities=((Score.TWO, float("nan")),),
        evidence=Evidence.BOTH,
        box_px=BoxPx(0, 0, 1, 1),
        n_tiles=1,
        provenance=Provenance((), "", "", ""),
    )
    with pytest.raises(ValueError, match="float"):
        encode(ev.SuggestionMade(key=READ.key, utc=READ.utc, suggestion=broken))


def test_what_was_written_before_cells_could_be_decided_on_is_read(utc, key):
    region = Region("r1", "Region 1", OUTLINE)
    made = Suggestion(
        "r1", Score.TWO, (), Evidence.BOTH, BoxPx(0, 0, 9, 9), 1,
        Provenance((), "b", "ab", "0"),
    )  # fmt: skip
    for event, place, name in (
        (ev.RegionDrawn(key=key, utc=utc, region=region), "region", "is_excluded"),
        (ev.SuggestionMade(key=key, utc=utc, suggestion=made), "suggestion", "cells"),
    ):
        content = json.loads(encode(event))
        del content[place][name]
        assert decode(kind_of(event), json.dumps(content)) == event
