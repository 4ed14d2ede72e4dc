from napari_her2.app.status import RunPhase, RunStatus


def test_time_left_follows_the_rate_of_computed_tiles() -> None:
    run = RunStatus(RunPhase.RUNNING, n_done=30, n_tiles=50, tiles_per_s=4.0)
    assert run.seconds_left == 5.0
    assert run.sentence == "30 of 50 tiles, 4 tiles/s, 5 s left"
    slow = RunStatus(RunPhase.RUNNING, n_done=1, n_tiles=2, tiles_per_s=0.043)
    assert "0.043 tiles/s" in slow.sentence


def test_without_a_rate_no_time_is_promised() -> None:
    run = RunStatus(RunPhase.RUNNING, n_done=3, n_tiles=50, n_cached=3)
    assert run.seconds_left is None
    assert run.sentence == "3 of 50 tiles (3 known before)"


def test_a_failure_is_told_in_its_own_words() -> None:
    assert RunStatus(RunPhase.FAILED, message="disk full").sentence == "disk full"
    assert RunStatus().sentence == ""
    assert RunStatus(RunPhase.CANCELLED, 2, 9).sentence == "Cancelled: 2 of 9 tiles"
