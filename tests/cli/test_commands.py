import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_help_names_every_command(command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for name in ("demo", "open", "phantom", "train", "run", "synthesize", "export"):
        assert name in out


def test_export_of_an_undecided_case_is_pending(
    command, virtual_case: Path, tmp_path: Path
) -> None:
    code, out, _ = command("export", virtual_case, "--out", tmp_path / "s", "--json")
    assert code == 0
    csv, record = map(Path, json.loads(out)["files"])
    assert "pending" in csv.read_text()
    assert "Research use only" in record.read_text()


def test_phantom_makes_cases_that_open(command, tmp_path: Path) -> None:
    code, out, _ = command(
        "phantom", "--out", tmp_path, "--count", 2, "--seed", 4,
        "--width-um", 120, "--height-um", 100, "--mpp", 1.0,
    )  # fmt: skip
    assert code == 0
    manifests = [Path(line) for line in out.split()]
    assert [path.parent.name for path in manifests] == ["pair-00004", "pair-00005"]
    code, _, _ = command("export", manifests[0], "--out", tmp_path / "scores")
    assert code == 0


@pytest.mark.parametrize("loaded", ["torch", "qtpy", "napari", "zarr"])
def test_importing_the_package_loads_nothing_heavy(loaded: str) -> None:
    program = f"import sys, napari_her2; sys.exit({loaded!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
