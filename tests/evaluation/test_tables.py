import csv
import io

from napari_her2.evaluation.tables import Table, write_tables

TABLE = Table(
    "arms",
    "Calls",
    ("arm", "accuracy", "n"),
    (("both", [0.95, 0.9, 0.98], 12), ("none | at all", [None, None, None], None)),
    "N = 12 regions on 6 slides.",
)


def test_intervals_take_three_columns_for_programs():
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows[0] == ["arm", "accuracy", "accuracy low", "accuracy high", "n"]
    assert rows[1] == ["both", "0.95", "0.9", "0.98", "12"]
    assert rows[2] == ["none | at all", "", "", "", ""]
    assert rows[3] == ["# N = 12 regions on 6 slides."]


def test_people_read_the_note_and_brackets():
    text = TABLE.markdown()
    assert "| both | 0.950 [0.900, 0.980] | 12 |" in text
    assert "none \\| at all | – | – |" in text
    assert text.endswith("N = 12 regions on 6 slides.")


def test_both_forms_are_written(tmp_path):
    assert [path.name for path in write_tables([TABLE], tmp_path)] == [
        "arms.csv",
        "arms.md",
    ]
