import json
from pathlib import Path


def test_evaluate_writes_results_and_a_page(
    command, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    page = tmp_path / "docs" / "results.md"
    page.parent.mkdir()
    code, out, _ = command(
        "evaluate", "--bundle", tiny_bundle_path, "--out", tmp_path / "out",
        "--slides", 2, "--regions-per-slide", 1, "--stages", "arms",
        "--processes", 0, "--page", page,
    )  # fmt: skip
    assert code == 0
    results = json.loads(Path(out.strip()).read_text())
    assert results["settings"]["stages"] == ["arms"]
    assert "Research use only" in page.read_text()


def test_an_unknown_stage_is_refused(command, tmp_path: Path) -> None:
    code, _, error = command("evaluate", "--out", tmp_path, "--stages", "arms,tea")
    assert code == 2
    assert "tea" in error
    assert "translation" in error
