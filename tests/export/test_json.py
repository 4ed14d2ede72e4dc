"""JSON with the suggestion beside each decision."""

from __future__ import annotations

import json
from pathlib import Path

from napari_her2.core.records import RESEARCH_USE
from napari_her2.export.json import to_json

GOLDEN = Path(__file__).parent / "golden" / "scores.json"
HEAD = "ab" * 32


def test_the_file_is_as_agreed(records):
    assert to_json(records, HEAD).decode() == GOLDEN.read_text(encoding="utf-8")


def test_it_says_its_schema_its_use_and_the_journal(records):
    tree = json.loads(to_json(records, HEAD))
    assert tree["schema"] == "napari-her2/scores/1"
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
