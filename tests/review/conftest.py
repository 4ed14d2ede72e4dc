"""Values that the tests of a review share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Evidence, Provenance, Reader, Suggestion
from napari_her2.core.score import Call, Score
from napari_her2.review.events import RegionKey
from napari_her2.review.record import ReviewRecord

# property tests must not fail because a machine is busy
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

SLIDES = (("he", "blake2b:aa"), ("ihc", "blake2b:bb"))


@pytest.fixture
def utc() -> datetime:
    return datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)


@pytest.fixture
def key() -> RegionKey:
    return RegionKey("case-1", SLIDES, "r1")


@pytest.fixture
def anna() -> Reader:
    return Reader("Dr. Anna Müller")


@pytest.fixture
def ben() -> Reader:
    return Reader("Dr. Ben Okafor")


@pytest.fixture
def make_suggestion() -> Callable[..., Suggestion]:
    def make(
        call: Call = Score.TWO,
        evidence: Evidence = Evidence.BOTH,
        region_id: str = "r1",
        bundle_sha256: str = "c0ffee",
    ) -> Suggestion:
        return Suggestion(
            region_id=region_id,
            call=call,
            probabilities=((Score.ONE, 0.25), (Score.TWO, 0.75)),
            evidence=evidence,
            box_px=BoxPx(0, 10, 2000, 3000),
            n_tiles=12,
            provenance=Provenance(
                slides=SLIDES,
                bundle="demo 1",
                bundle_sha256=bundle_sha256,
                software="napari-her2 0.1.0",
                parameters=(("transform", "manifest"),),
            ),
        )

    return make


@pytest.fixture
def record(key: RegionKey) -> ReviewRecord:
    return ReviewRecord(key)
