import pytest
from tests.training.image_folders import picture, write

from napari_her2.core.errors import UsageError
from napari_her2.training.folder_pairs import list_folder_pairs


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c", "d"):
        write(tmp_path / "he" / f"{name}.png", picture(1))
        write(tmp_path / "ihc" / f"{name}.jpg", picture(2))
    return tmp_path


def test_without_a_table_pairs_have_neither_label_nor_slide(folder):
    listing = list_folder_pairs(folder)
    assert [pair.name for pair in listing.pairs] == ["a", "b", "c", "d"]
    assert listing.classes == ()
    assert any("no slide is given" in text for text in listing.warnings)


def test_the_table_gives_labels_and_slides(folder):
    (folder / "labels.csv").write_text(
        "name,label,slide\na.png,3+,S1\nb,0+,S1\nc,4+,S2\nz,1+,S3\n"
    )
    listing = list_folder_pairs(folder)
    assert [(p.name, p.label, p.slide) for p in listing.pairs] == [
        ("a", "3+", "S1"),
        ("b", "0+", "S1"),
    ]
    assert listing.classes == ("0+", "3+")
    reasons = {problem.name: problem.reason for problem in listing.problems}
    assert reasons.keys() == {"c", "d", "z"}
    assert "'4+' is none of" in reasons["c"]
    assert "not in labels.csv" in reasons["d"]


def test_a_table_without_slides_is_enough(folder):
    (folder / "labels.csv").write_text("name, label\na, 0\nb, 3+\n")
    assert [p.slide for p in list_folder_pairs(folder).pairs] == [None, None]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,score\na,0\n", "no columns name and label"),
        ("name,label\na,0\na.png,1+\n", "stands in it twice"),
        ("", "no columns"),
    ],
)
def test_a_wrong_table_is_refused(folder, text, problem):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match=problem):
        list_folder_pairs(folder)


def test_a_table_in_another_encoding_is_refused(folder):
    (folder / "labels.csv").write_bytes("name,label\nä,0\n".encode("latin-1"))
    with pytest.raises(UsageError, match="cannot be read"):
        list_folder_pairs(folder)
