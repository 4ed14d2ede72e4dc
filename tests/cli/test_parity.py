import json

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_her2.cli.commands import commands
from napari_her2.core.errors import UsageError
from napari_her2.inference import parity

MEASURED = {"torch-bf16": {"mean_difference_grey": 0.2, "same_score_share": 1.0}}


class Card:
    core_px, halo_px = 8, 4


class Bundle:
    card = Card


@pytest.fixture
def seen(monkeypatch):
    """What would be run and written, without running it."""
    seen = {}

    def measure(bundle, tiles, names, device):
        seen["tiles"] = list(tiles)
        seen["names"] = names
        return MEASURED

    monkeypatch.setattr(parity, "measure_parity", measure)
    monkeypatch.setattr(
        parity, "write_parity", lambda folder, measured: seen.update(written=measured)
    )
    monkeypatch.setattr("napari_her2.models.bundle.load_bundle", lambda path: Bundle)
    return seen


@pytest.fixture
def tiles(tmp_path):
    for stain, grey in (("he", 10), ("ihc", 20)):
        stack = np.full((5, 16, 16, 3), grey, np.uint8)
        stack += np.arange(5, dtype=np.uint8)[:, None, None, None]
        np.save(tmp_path / f"{stain}.npy", stack)
    return tmp_path


def invoke(*words):
    answer = CliRunner().invoke(commands, ["bundle", "parity", "B", *map(str, words)])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def test_tiles_are_run_each_way_and_the_result_is_json(seen, tiles):
    answer = invoke("--tiles", tiles, "--most", 2)
    assert json.loads(answer.output) == MEASURED
    assert seen["names"] is None
    shown = [tuple(i is None or int(i.max()) for i in pair) for pair in seen["tiles"]]
    first, last = (10, 20), (14, 24)
    assert shown == [
        first, (10, True), (True, 20), last, (14, True), (True, 24),
    ]  # fmt: skip
    assert "written" not in seen


def test_the_card_is_written_when_asked(seen, tiles):
    invoke("--tiles", tiles, "--write", "--backend", "torch-bf16")
    assert seen["written"] == MEASURED
    assert seen["names"] == ["torch-bf16"]
    assert len(seen["tiles"]) == 15


def test_tiles_that_do_not_fit_are_refused(seen, tiles):
    with pytest.raises(UsageError, match="cannot be read"):
        invoke("--tiles", tiles / "none")
    np.save(tiles / "ihc.npy", np.zeros((4, 16, 16, 3), np.uint8))
    with pytest.raises(UsageError, match="5 H&E and 4 IHC"):
        invoke("--tiles", tiles)
    np.save(tiles / "ihc.npy", np.zeros((5, 12, 12, 3), np.uint8))
    with pytest.raises(UsageError, match="16, 16, 3"):
        invoke("--tiles", tiles)
