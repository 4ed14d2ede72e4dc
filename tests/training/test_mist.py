import pytest
from tests.training.image_folders import picture, write

from napari_her2.core.errors import UsageError
from napari_her2.training.mist import list_mist, slide_of


def _folder(root):
    for folder, names in {
        "train": ["1M01_2_3", "1M01_2_4", "2M07_0_0"],
        "val": ["1M01_9_9", "3M11_5_5"],
    }.items():
        for name in names:
            write(root / f"{folder}A" / f"{name}.jpg", picture(1))
            write(root / f"{folder}B" / f"{name}.jpg", picture(2))
    return root


def test_slides_are_read_from_the_names_and_span_the_published_split(tmp_path):
    listing = list_mist(_folder(tmp_path))
    slides = {pair.name: pair.slide for pair in listing.pairs}
    assert slides["1M01_2_3"] == slides["1M01_9_9"] == "1M01"
    assert slides["2M07_0_0"] == "2M07"
    assert listing.classes == ()
    assert {pair.label for pair in listing.pairs} == {None}
    assert any(line.startswith("warning: 3 slides") for line in listing.summary())


@pytest.mark.parametrize(
    ("stem", "slide"),
    [("A_1", "A"), ("A_b_12_3", "A_b"), ("7_12_3", "7"), ("A", None), ("_1", None)],
)
def test_the_trailing_numbers_are_not_the_slide(stem, slide):
    assert slide_of(stem) == slide


def test_another_form_of_name_is_a_pattern(tmp_path):
    listing = list_mist(_folder(tmp_path), r"(?P<slide>[0-9])M.*")
    assert {pair.slide for pair in listing.pairs} == {"1", "2", "3"}
    with pytest.raises(UsageError, match="no group named slide"):
        list_mist(tmp_path, "(.*)")
    with pytest.raises(UsageError, match="no regular expression"):
        list_mist(tmp_path, "(?P<slide>")


def test_a_name_without_slide_is_a_slide_of_its_own_and_said(tmp_path):
    _folder(tmp_path)
    write(tmp_path / "trainA/plain.jpg", picture(3))
    write(tmp_path / "trainB/plain.jpg", picture(4))
    listing = list_mist(tmp_path)
    assert "plain" in {pair.slide for pair in listing.pairs}
    assert any("1 names do not fit" in text for text in listing.warnings)


def test_orphans_are_listed(tmp_path):
    _folder(tmp_path)
    (tmp_path / "valB/3M11_5_5.jpg").unlink()
    listing = list_mist(tmp_path)
    assert [str(p) for p in listing.problems] == [
        "3M11_5_5.jpg: there is no image of that name in valB"
    ]
