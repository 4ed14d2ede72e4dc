"""The whole evaluation on small virtual slides, from bundle to page."""

import json
from pathlib import Path

import pytest

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.evaluation.evaluation import evaluate, publish_page
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.settings import SIGNALS, Settings


@pytest.fixture(scope="module")
def finished(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("evaluated")
    settings = Settings(
        bundle=tiny_bundle_path,
        out=folder / "out",
        slides=3,
        regions_per_slide=1,
        stages=(Stage.ARMS, Stage.TRANSLATION, Stage.LADDER, Stage.SHIFT),
        ladder_regions=2,
        translation_regions=2,
        shift_regions=2,
        processes=0,
    )
    works = {step.work for step in evaluate(settings)}
    return settings, works


def test_every_stage_leaves_numbers_tables_and_figures(finished):
    settings, works = finished
    assert {"arms", "translation", "ladder", "shift"} <= works
    results = json.loads((settings.out / "results.json").read_text())
    assert results["schema"] == "napari-her2/evaluation/2"
    assert set(results["arms"]["scores"]) >= {
        "H&E and IHC",
        "H&E and reconstructed IHC",
        "H&E alone",
        "IHC alone",
    }
    assert len(results["bundle"]["sha256"]) == 64
    for part in ("arms", "translation", "ladder", "shift"):
        assert results[part]["data"]["n_slides"] >= 2
        assert "majority_accuracy" in results[part]["data"]
    tables = {path.name for path in (settings.out / "tables").iterdir()}
    assert {"arms.csv", "errors.md", "translation.csv", "ladder.csv"} <= tables
    figures = {path.name for path in (settings.out / "figures").iterdir()}
    assert {"confusion.png", "reliability.png", "ladder.png", "samples.png"} <= figures


def test_every_table_says_what_its_numbers_rest_on(finished):
    settings, _ = finished
    sha = json.loads((settings.out / "results.json").read_text())["bundle"]["sha256"]
    for table in (settings.out / "tables").glob("*.md"):
        text = table.read_text()
        for word in ("N = ", "slides", "always saying", "Split: ", "seed", sha[:16]):
            assert word in text, (table.name, word)


def test_nothing_is_rendered_or_reconstructed_twice(finished):
    settings, _ = finished
    works = [step.work for step in evaluate(settings)]
    assert not any(work.startswith(("slides", "reconstructed")) for work in works)


def test_the_page_holds_doubts_quotes_and_pictures(finished, tmp_path):
    settings, _ = finished
    page = tmp_path / "results.md"
    written = publish_page(settings.out, page)
    text = page.read_text()
    assert "95.32" in text
    assert "71.44" in text
    assert "Three doubts" in text
    assert "Quoted from papers" in text
    assert "not comparable" in text
    for picture in written[1:]:
        assert picture.suffix == ".jpg"
        assert picture.stat().st_size < 400_000
    assert f"pictures/evaluation/{written[1].name}" in text


def test_parts_of_another_bundle_are_left_out(finished, tmp_path):
    settings, _ = finished
    part = settings.out / "parts" / "signal.json"
    part.write_text(json.dumps({"bundle_sha256": "0" * 64, "points": []}))
    try:
        list(evaluate(Settings(**{**_fields(settings), "stages": (Stage.SHIFT,)})))
        results = json.loads((settings.out / "results.json").read_text())
        assert "signal" not in results
        assert "arms" in results  # made by the same bundle before
    finally:
        part.unlink()


def _fields(settings: Settings) -> dict:
    return {name: getattr(settings, name) for name in settings.__slots__}


@pytest.mark.slow
def test_the_signal_curve_has_all_its_points(tiny_bundle_path, tmp_path):
    settings = Settings(
        bundle=tiny_bundle_path,
        out=tmp_path,
        slides=2,
        regions_per_slide=3,
        curve_slides=2,
        stages=(Stage.SIGNAL,),
        processes=0,
    )
    list(evaluate(settings))
    points = json.loads((tmp_path / "results.json").read_text())["signal"]["points"]
    assert [point["signal"] for point in points] == list(SIGNALS)
    assert "H&E alone" in points[0]["accuracy"]
    assert points[0]["chance"] == {}  # no tumour in regions of 32 µm


def test_a_folder_that_cannot_be_written_is_said(tiny_bundle_path, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        next(evaluate(Settings(bundle=tiny_bundle_path, out=blocked)))


def test_absurd_settings_are_refused(tmp_path):
    with pytest.raises(UsageError, match="too few"):
        Settings(bundle=tmp_path, out=tmp_path, slides=1)
    with pytest.raises(UsageError, match="out of range"):
        Settings(bundle=tmp_path, out=tmp_path, signal=1.5)
