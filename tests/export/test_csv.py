"""CSV that spreadsheets and scripts read as it was meant."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from napari_her2.core.records import RESEARCH_USE
from napari_her2.core.score import Score
from napari_her2.export.csv import from_csv, guarded, to_csv, unguarded
from napari_her2.export.schema import v1, v2, v3

GOLDEN = Path(__file__).parent / "golden" / "scores.csv"


def test_the_file_is_as_agreed(records):
    assert to_csv(records) == GOLDEN.read_bytes()


def test_what_was_exported_before_can_be_exported_again(records):
    golden = GOLDEN.with_name("scores.v1.csv").read_bytes()
    rows = from_csv(golden)
    assert rows == [v1.row(record) for record in records]
    golden = GOLDEN.with_name("scores.v2.csv").read_bytes()
    assert from_csv(golden) == [v2.row(record) for record in records]


def test_the_columns_of_a_version_keep_their_names_and_order():
    assert [name for name in v2.COLUMNS if name in v1.COLUMNS] == list(v1.COLUMNS)
    assert [name for name in v3.COLUMNS if name in v2.COLUMNS] == list(v2.COLUMNS)


def test_counted_cells_stand_in_columns_of_their_own(by_cells, records):
    (row,) = from_csv(to_csv([by_cells]))
    assert row["final_score"] == row["ai_score"] == "3+"
    assert row["ai_evidence"] == "IHC, cell by cell"
    assert (row["n_cells"], row["n_cells_judged"]) == ("200", "3")
    assert row["pct_complete_intense"] == "15.00"
    assert row["pct_none"] == "85.00"
    assert row["pct_ci95"].startswith("10.71 to 20.61; ")
    assert row["cell_rule"] == "complete intense membrane in > 10 % of cells"
    assert row["cell_tumour"] == "in your region"
    assert row["network_score"] == "2+"
    assert row["bundle_sha256"] == ""
    assert from_csv(to_csv(records))[0]["n_cells"] == ""


def test_how_sure_the_software_was_stands_beside_the_decision(records, elsewhere):
    confirmed, *_, own, _, _ = from_csv(to_csv(records))
    assert confirmed["ai_prediction_set"] == "1+ or 2+"
    assert confirmed["ai_arms"] == "H&E and IHC: 1.000"
    assert (confirmed["ai_gate"], confirmed["ai_forced"]) == ("", "no")
    assert (own["ai_prediction_set"], own["ai_forced"]) == ("", "")
    (row,) = from_csv(to_csv([elsewhere]))
    assert row["ai_arms"] == "H&E and reconstructed IHC: 0.800; H&E alone: 0.200"
    assert row["ai_gate"] == "accepted: used in 80 % of the area"


def test_only_decisions_are_scores(records):
    rows = from_csv(to_csv(records))

    assert [(row["region_id"], row["status"], row["final_score"]) for row in rows] == [
        ("r1", "decided", "2+"),
        ("r2", "decided", "0+"),
        ("r3", "pending", ""),
        ("", "decided", "not assessable: no invasive tumour"),
        ("r4", "deferred", ""),
        ("r5", "decided", "0"),
    ]


def test_a_suggestion_stands_only_beside_a_decision(records):
    for row in from_csv(to_csv(records)):
        if row["status"] != "decided":
            assert not row["ai_score"]
            assert not row["ai_probabilities"]
            assert not row["bundle_sha256"]


def test_every_row_says_what_it_is_for(records):
    assert {row["notice"] for row in from_csv(to_csv(records))} == {RESEARCH_USE}


@pytest.mark.parametrize("score", list(Score))
def test_scores_need_no_guard(score):
    assert guarded(score) == score


def test_a_reader_that_guesses_types_keeps_the_scores_apart(records):
    table = arrow_csv.read_csv(io.BytesIO(to_csv(records)))

    assert table["final_score"].to_pylist() == [
        "2+", "0+", "", "not assessable: no invasive tumour", "", "0",
    ]  # fmt: skip


def test_a_null_that_a_spreadsheet_takes_for_a_number_still_says_null(records):
    only_null = to_csv(records[-1:])
    table = arrow_csv.read_csv(io.BytesIO(only_null))

    assert table["final_score"].to_pylist() == [0]
    assert table["final_meaning"].to_pylist() == [Score.ZERO.meaning]


@pytest.mark.parametrize(
    "attack",
    [
        "=1+1",
        "+49 228",
        "-2+3",
        "@SUM(A1)",
        " =1+1",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "＝1+1",
        '=HYPERLINK("http://x","y")',
    ],
)
def test_what_a_person_wrote_is_never_a_formula(attack):
    assert guarded(attack).startswith("'")
    assert unguarded(guarded(attack)) == attack


@given(st.text())
def test_a_guard_comes_off_again(text):
    assert unguarded(guarded(text)) == text
    assert guarded(text).lstrip()[:1] not in (*"=+-@",)


def test_names_and_reasons_survive(records):
    rows = from_csv(to_csv(records))
    assert rows[0]["reader"] == "Dr. Anna Müller"
    assert rows[1]["reason"] == "other: + edge, dry"
    assert rows[3]["reader"] == "=HYPERLINK(Ben)"
    assert b",'=HYPERLINK(Ben)," in to_csv(records)
