"""JSON with the suggestion beside each decision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from napari_her2.core.records import FORCED, RESEARCH_USE
from napari_her2.core.score import Score
from napari_her2.export.json import to_json
from napari_her2.export.schema import v1, v2
from napari_her2.review.events import Confirmed, Revealed, SuggestionMade
from napari_her2.review.record import ReviewRecord

GOLDEN = Path(__file__).parent / "golden" / "scores.json"
HEAD = "ab" * 32


def test_the_file_is_as_agreed(records):
    assert to_json(records, HEAD).decode() == GOLDEN.read_text(encoding="utf-8")


def test_what_was_exported_before_can_be_exported_again(records):
    golden = GOLDEN.with_name("scores.v1.json").read_text(encoding="utf-8")
    assert v1.document(records, HEAD) == json.loads(golden)
    golden = GOLDEN.with_name("scores.v2.json").read_text(encoding="utf-8")
    assert v2.document(records, HEAD) == json.loads(golden)


def test_counted_cells_stand_beside_the_decision_with_their_intervals(by_cells):
    (tree,) = json.loads(to_json([by_cells], HEAD))["records"]
    decision = tree["decision"]
    cells = decision["suggestion"]["cells"]
    assert decision["suggestion"]["evidence"] == "IHC, cell by cell"
    assert cells["n_cells"] == 200
    assert cells["shares"]["complete_intense"] == {
        "share": 0.15,
        "ci95_low": 0.10714,
        "ci95_high": 0.20606,
    }
    assert cells["rule"] == "complete intense membrane in > 10 % of cells"
    assert decision["suggestion"]["parameters"] == {"white_rgb": "[240, 240, 240]"}
    assert decision["beside"]["score"] == "2+"
    assert decision["beside"]["bundle_sha256"] == "c0ffee"


def test_a_forced_run_and_its_doubts_are_told(elsewhere):
    key, utc = elsewhere.key, elsewhere.history[-1].utc
    seen = replace(elsewhere.suggestion, forced=True)
    record = ReviewRecord(key, (elsewhere.history[0],))
    anna = elsewhere.decision.reader
    record = record.after(SuggestionMade(key=key, utc=utc, suggestion=seen))
    record = record.after(Revealed(key=key, utc=utc, reader=anna, suggestion=seen))
    record = record.after(Confirmed(key=key, utc=utc, reader=anna, call=Score.TWO))
    (tree,) = json.loads(to_json([record], HEAD))["records"]

    said = tree["decision"]["suggestion"]
    assert said["forced"] is True
    assert said["caution"] == f"{FORCED}; suggested from H&E; IHC needed"
    assert said["prediction_set"] == ["1+", "2+"]
    assert said["prediction_set_text"] == "1+ or 2+"
    assert said["arms"] == {"H&E and reconstructed IHC": 0.8, "H&E alone": 0.2}
    assert said["gate"]["accepted"] is True
    assert said["gate"]["typicality_with"] == 0.75


def test_it_says_its_schema_its_use_and_the_journal(records):
    tree = json.loads(to_json(records, HEAD))
    assert tree["schema"] == "napari-her2/scores/3"
    assert tree["notice"] == RESEARCH_USE
    assert tree["journal_head"] == HEAD


def test_the_suggestion_stands_beside_the_decision(records):
    confirmed, changed, *_ = json.loads(to_json(records, HEAD))["records"]

    assert confirmed["decision"]["score"] == "2+"
    assert confirmed["decision"]["first_read"] == "1+"
    assert confirmed["decision"]["suggestion"]["bundle_sha256"] == "c0ffee"
    assert changed["decision"]["score"] == "0+"
    assert changed["decision"]["suggestion"]["score"] == "2+"
    assert [d["score"] for d in changed["superseded_decisions"]] == ["2+"]


def test_without_a_decision_there_is_neither_score_nor_suggestion(records):
    for record in json.loads(to_json(records, HEAD))["records"]:
        if record["status"] != "decided":
            assert record["decision"] is None
            assert "suggestion" not in json.dumps(record)


def test_a_reopened_region_is_pending_and_keeps_what_was_decided(records):
    from napari_her2.review import acts

    confirmed = records[0]
    reader = confirmed.decision.reader
    opened = confirmed.after(acts.reopen(confirmed, reader, "again"))
    (tree,) = json.loads(to_json([opened], HEAD))["records"]

    assert tree["status"] == "pending"
    assert tree["decision"] is None
    assert [d["score"] for d in tree["superseded_decisions"]] == ["2+"]
