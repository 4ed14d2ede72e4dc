import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "examples" / "guided_tour.py"


@pytest.mark.gl
@pytest.mark.slow
def test_the_tour_reads_decides_and_exports(virtual_case, tiny_bundle_path, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, TOUR, out, "--case", virtual_case]
    done = subprocess.run(
        [*command, "--bundle", tiny_bundle_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["decision"]["kind"] == "override"
    assert summary["runs"]["view"]["tiles"] > 0
    assert summary["runs"]["cells"]["cells"] > 0
    for step in summary["steps"]:
        assert (out / step["picture"]).stat().st_size > 20_000
    assert "scores.csv" in summary["files"]
    assert summary["decision"]["call"] in (out / "scores.csv").read_text()
