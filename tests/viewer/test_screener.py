from threading import Event, current_thread, main_thread

import pytest

from napari_her2.app.first_look import FirstLook
from napari_her2.app.run_plan import RunTarget
from napari_her2.core.errors import NotReadyError

REFUSAL = "H&E cannot be assessed: unfamiliar tissue or stain."


@pytest.fixture
def screener(open_desk, monkeypatch):
    """The screener of an open desk; a test says what its look does."""

    def make(look):
        monkeypatch.setattr(open_desk.session, "first_look", lambda: look)
        return open_desk.screener

    return make


def test_the_look_is_taken_off_the_main_thread_and_its_answer_kept(
    open_desk, screener, qtbot
):
    threads = []

    def look():
        threads.append(current_thread())
        return (REFUSAL,)

    screener(look).start()
    qtbot.waitUntil(lambda: open_desk.session.state.refusals == (REFUSAL,))
    assert threads != [main_thread()]


def test_it_begins_once_the_case_is_painted(open_desk, screener, qtbot):
    made = screener(lambda: (REFUSAL,))
    made._timer.setInterval(1)
    open_desk.session.state.events.pair.emit(None, None)
    qtbot.waitUntil(lambda: open_desk.session.state.refusals == (REFUSAL,))


def test_what_comes_after_the_case_was_closed_is_dropped(open_desk, screener, qtbot):
    closed = Event()

    def look():
        assert closed.wait(10)
        raise ValueError("the file is closed")

    made = screener(look)
    made.start()
    open_desk.close_case()
    closed.set()
    qtbot.waitUntil(lambda: made._worker is None)
    assert open_desk.session.state.refusals == ()


def test_slides_that_cannot_be_read_are_left_for_the_run(open_desk, screener, qtbot):
    def look():
        raise NotReadyError("The file is gone.", "Bring it back.")

    made = screener(look)
    made.start()
    qtbot.waitUntil(lambda: made._worker is None)
    assert open_desk.session.state.refusals == ()
    assert open_desk.session.state.notice is None


def test_a_refused_slide_runs_no_more_once_it_is_not_forced(open_desk, monkeypatch):
    session, started = open_desk.session, []
    monkeypatch.setattr(FirstLook, "known", lambda *_: (REFUSAL,))
    monkeypatch.setattr(open_desk.runner, "start", started.append)
    session.refuse((REFUSAL,))
    open_desk.run_anyway()
    assert session.state.forced
    assert started == [RunTarget.VIEW]
    open_desk.stop_forcing()
    assert not session.state.forced
    assert started == [RunTarget.VIEW]
    assert session.state.notice is None
