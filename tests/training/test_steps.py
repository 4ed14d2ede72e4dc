import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training import tiny_stage
from tests.training.tiny_stage import TinyStage

from napari_her2.core.errors import NotReadyError, StorageError
from napari_her2.training.checkpoint import read_notes
from napari_her2.training.steps import is_finished, run_steps

ROOT = Path(__file__).parents[2]


def _run(stage, folder, **more):
    settings = {"seed": 5, "checkpoint_steps": 4, **more}
    return list(run_steps(stage, folder, **settings))


def _log(folder):
    return (folder / "training.csv").read_text()


def _program(out, n_steps, dropout=0.5, **environment):
    command = [sys.executable, tiny_stage.__file__, str(out), str(n_steps)]
    return subprocess.Popen(
        [*command, str(dropout)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def _losses(lines):
    return [(int(step), float(loss)) for step, loss in map(str.split, lines)]


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_losses(tmp_path):
    expected = [
        (p.step, p.losses["loss"]) for p in _run(TinyStage(400), tmp_path / "whole")
    ]
    killed = _program(tmp_path / "parts", 400)
    assert killed.stdout is not None
    before = [next(killed.stdout) for _ in range(10)]
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.stdout.close()
    at = int(read_notes(tmp_path / "parts/classifier.safetensors")["step"])
    assert 8 <= at < 400
    again = _run(TinyStage(400), tmp_path / "parts")
    assert _losses(before) == expected[:10]
    assert [(p.step, p.losses["loss"]) for p in again] == expected[at:]
    assert _log(tmp_path / "parts") == _log(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path):
    run = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    (tmp_path / "two").mkdir()
    both = [
        _program(tmp_path / "two", 8, 0.0, RANK=str(r), LOCAL_RANK=str(r), **run)
        for r in range(2)
    ]
    said = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]
    weights = [np.load(tmp_path / f"two/weights{r}.npy") for r in range(2)]
    assert np.array_equal(*weights)
    single = TinyStage(8, dropout=0.0, ranks=(0, 1))
    expected = [p.losses["loss"] for p in _run(single, tmp_path / "one")]
    losses = [loss for _, loss in _losses(said[0].splitlines())]
    assert losses == pytest.approx(expected, rel=1e-5)
    alone = torch.cat([p.detach().flatten() for p in single.model.parameters()])
    assert weights[0] == pytest.approx(alone.numpy(), rel=1e-4, abs=1e-6)
    assert is_finished(single.stage, tmp_path / "two")


def _free_port():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_training_stops_when_macro_f1_stays_and_ends_with_the_best(tmp_path):
    scores = {2: 0.3, 4: 0.6, 6: 0.6, 8: 0.5, 10: 0.9}
    stage = TinyStage(12, scores=scores)
    steps = _run(stage, tmp_path, patience=2)
    assert [p.step for p in steps] == list(range(1, 9))
    assert steps[-1].n_steps == 8
    best = TinyStage(12)
    _run(best, tmp_path / "other")
    reference = TinyStage(4)
    _run(reference, tmp_path / "four")
    for mine, four in zip(
        stage.model.parameters(), reference.model.parameters(), strict=True
    ):
        assert torch.equal(mine, four)
    assert _run(TinyStage(12, scores=scores), tmp_path, patience=2) == []
    assert is_finished(stage.stage, tmp_path)
    assert "classifier,4,validation_macro_f1,0.6" in _log(tmp_path)


def test_early_stopping_counts_on_after_a_restart(tmp_path):
    scores = {2: 0.3, 4: 0.6, 6: 0.6, 8: 0.5, 10: 0.9}
    run = run_steps(
        TinyStage(12, scores=scores), tmp_path, seed=5, checkpoint_steps=3, patience=3
    )
    for progress in run:
        if progress.step == 7:
            break
    run.close()
    again = _run(TinyStage(12, scores=scores), tmp_path, patience=3)
    assert [p.step for p in again] == [7, 8, 9, 10, 11, 12]
    notes = read_notes(tmp_path / "classifier.safetensors")
    assert (notes["best_step"], notes["best_score"]) == ("10", "0.9")


def test_the_weights_of_the_end_are_kept_without_patience(tmp_path):
    stage, plain = TinyStage(6, scores={2: 0.9, 4: 0.1}), TinyStage(6)
    assert len(_run(stage, tmp_path / "a")) == 6
    _run(plain, tmp_path / "b")
    assert torch.equal(stage.model[0].weight, plain.model[0].weight)


def test_more_steps_go_on_where_a_finished_run_ended(tmp_path):
    _run(TinyStage(6), tmp_path)
    assert [p.step for p in _run(TinyStage(8), tmp_path)] == [7, 8]


def test_the_batch_is_halved_when_memory_runs_out(tmp_path):
    stage = TinyStage(6, memory=3)
    steps = _run(stage, tmp_path)
    assert stage.batches == [8, 4, 2, 2, 2, 2, 2, 2]
    assert len(steps) == 6
    assert steps[0].losses["batch_halved_to"] == 2
    assert "batch_halved_to" not in steps[1].losses
    assert "classifier,1,batch_halved_to,2" in _log(tmp_path)


def test_a_restart_keeps_the_halved_batch(tmp_path):
    run = run_steps(TinyStage(8, memory=3), tmp_path, seed=5, checkpoint_steps=4)
    for progress in run:
        if progress.step == 5:
            break
    run.close()
    stage = TinyStage(8)
    _run(stage, tmp_path)
    assert stage.batches == [2] * 4


def test_a_batch_of_one_that_does_not_fit_is_said(tmp_path):
    with pytest.raises(NotReadyError, match="not enough memory") as caught:
        _run(TinyStage(memory=0), tmp_path)
    assert "batch of 1" in str(caught.value)


def test_other_errors_are_not_taken_for_lack_of_memory(tmp_path):
    stage = TinyStage()
    stage.model = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="shapes"):
        _run(stage, tmp_path)


def test_a_full_disk_is_said_and_the_run_can_go_on(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    run = run_steps(TinyStage(), tmp_path, seed=5, checkpoint_steps=4)
    next(run)
    (tmp_path / "training.csv").unlink()
    (tmp_path / "training.csv").symlink_to(full)
    with pytest.raises(StorageError, match="No space left"):
        list(run)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    _run(TinyStage(4), tmp_path)
    before = (tmp_path / "classifier.safetensors").read_bytes()

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_her2.training.checkpoint.save_file", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        _run(TinyStage(8), tmp_path)
    assert "last checkpoint" in caught.value.next_step
    assert (tmp_path / "classifier.safetensors").read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))
    monkeypatch.undo()
    assert [p.step for p in _run(TinyStage(8), tmp_path)] == [5, 6, 7, 8]


def test_a_folder_that_may_not_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        _run(TinyStage(), tmp_path / "file" / "run")

    def denied(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", denied)
    with pytest.raises(StorageError, match="Permission denied"):
        _run(TinyStage(), tmp_path / "run")


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    _run(TinyStage(4), tmp_path)
    other = TinyStage(8)
    other.model = torch.nn.Linear(2, 2)
    with pytest.raises(StorageError, match="does not fit this run"):
        _run(other, tmp_path)
    (tmp_path / "classifier.safetensors").write_bytes(b"broken")
    with pytest.raises(StorageError, match="damaged"):
        _run(TinyStage(8), tmp_path)


def test_tensorboard_is_written_where_it_is_installed(tmp_path, monkeypatch):
    import types

    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((Path(folder).name, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, step))

        def close(self):
            written.append("closed")

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    _run(TinyStage(4), tmp_path)
    assert written == [("tensorboard", 1), ("classifier/loss", 4), "closed"]
