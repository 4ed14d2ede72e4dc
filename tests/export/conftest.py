"""A small worklist with every status, made by the acts of a review."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings

from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import read_counts
from napari_her2.core.membrane import PatternCounts
from napari_her2.core.records import (
    Arm,
    CellBasis,
    Evidence,
    GateVerdict,
    Provenance,
    Reader,
    Suggestion,
)
from napari_her2.core.region import Region
from napari_her2.core.score import NotAssessable, Score
from napari_her2.review import acts
from napari_her2.review.events import ReasonCode, RegionKey
from napari_her2.review.record import ReviewRecord

# property tests must not fail because a machine is busy
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

HE, IHC = ("he", "blake2b:aa"), ("ihc", "blake2b:bb")
UTC_0 = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
ANNA, BEN = Reader("Dr. Anna Müller"), Reader("=HYPERLINK(Ben)")


GATE = GateVerdict(True, 0.2, 0.6, 0.8, 0.5, 0.75, "used in 80 % of the area")


def suggestion(region_id, call, evidence):
    both = evidence is Evidence.BOTH
    return Suggestion(
        region_id=region_id,
        call=call,
        probabilities=((Score.ONE, 0.25), (Score.TWO, 0.75)),
        evidence=evidence,
        box_px=BoxPx(0, 10, 2000, 3000),
        n_tiles=12,
        provenance=Provenance(
            slides=(HE,) if evidence is Evidence.HE_ONLY else (HE, IHC),
            bundle="demo 1",
            bundle_sha256="c0ffee",
            software="napari-her2 0.0.1",
            parameters=(("transform", "manifest"),),
            direction="he->ihc",
        ),
        arms=((Arm.BOTH, 1.0),)
        if both
        else ((Arm.HE_RECONSTRUCTED, 0.8), (Arm.HE, 0.2)),
        prediction_set=(Score.ONE, Score.TWO),
        gate=None if both else GATE,
    )


class Worklist:
    """Records that grow by acts, one minute apart."""

    def __init__(self):
        self.minutes = 0

    def do(self, record, act, *args):
        self.minutes += 1
        utc = UTC_0 + timedelta(minutes=self.minutes)
        return record.after(act(record, *args, utc=utc))

    def shown(self, region_id, call, evidence=Evidence.BOTH, first_read=Score.ONE):
        record = ReviewRecord(RegionKey("case-1", (HE, IHC), region_id))
        outline = ((0.0, 10.0), (2000.0, 10.0), (2000.0, 3000.5))
        record = self.do(record, acts.draw, Region(region_id, "Nest", outline))
        record = self.do(record, acts.suggest, suggestion(region_id, call, evidence))
        record = self.do(record, acts.first_read, ANNA, first_read)
        return self.do(record, acts.reveal, ANNA)


@pytest.fixture
def records() -> tuple[ReviewRecord, ...]:
    work = Worklist()
    do = work.do
    confirmed = do(work.shown("r1", Score.TWO), acts.confirm, ANNA)
    changed = do(work.shown("r2", Score.TWO), acts.confirm, ANNA)
    changed = do(changed, acts.reopen, ANNA, "tumour board")
    changed = do(
        changed, acts.override, ANNA, Score.ULTRALOW, ReasonCode.OTHER, "+ edge, dry"
    )
    synthetic = work.shown("r3", Score.THREE, Evidence.HE_ONLY)
    own = ReviewRecord(RegionKey("case-1", (HE,), ""))
    own = do(own, acts.own_read, BEN, NotAssessable("no invasive tumour"))
    deferred = do(work.shown("r4", Score.ZERO), acts.defer, ANNA, "waiting for ISH")
    null = do(
        work.shown("r5", Score.ZERO, first_read=NotAssessable("crush")),
        acts.confirm,
        ANNA,
    )
    return confirmed, changed, synthetic, own, deferred, null


@pytest.fixture
def elsewhere(records) -> ReviewRecord:
    """A synthetic suggestion, overridden with the real IHC."""
    code = ReasonCode.IHC_READ_ELSEWHERE
    return records[2].after(acts.override(records[2], ANNA, Score.TWO, code, utc=UTC_0))


@pytest.fixture
def by_cells() -> ReviewRecord:
    """Read from cells, with what a network said beside it, and confirmed."""
    work = Worklist()
    reading = read_counts(PatternCounts(none=170, complete_intense=30))
    made = replace(
        suggestion("r6", reading.call, Evidence.CELLS),
        probabilities=(),
        arms=(),
        prediction_set=(),
        provenance=Provenance(
            (IHC,), "", "", "napari-her2 0.0.1", (("white_rgb", "[240, 240, 240]"),)
        ),
        cells=CellBasis(reading, 3, "in your region", "clustered"),
    )
    record = work.shown("r6", Score.TWO)
    record = work.do(record, acts.suggest, made)
    record = work.do(record, acts.reveal, ANNA)
    return work.do(record, acts.confirm, ANNA)


@pytest.fixture(autouse=True)
def _fixed_version(monkeypatch):
    monkeypatch.setattr("napari_her2.export.schema.v1.__version__", "0.0.1")
