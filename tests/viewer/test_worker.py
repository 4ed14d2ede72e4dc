"""Work that still runs when a program ends takes nothing down with it."""

import os
import subprocess
import sys

import pytest

BEGIN = """
import sys, time
from qtpy.QtWidgets import QApplication
from napari_her2.viewer.background_look import BackgroundLook
from napari_her2.viewer.worker import StepWorker

def steps():
    for number in range(500):
        time.sleep(0.01)
        yield number

class Look(BackgroundLook):
    def find(self):
        return lambda: time.sleep(1.0)

class State:
    class events:
        class pair:
            connect = staticmethod(lambda act: None)

class Session:
    state = State

app = QApplication([])
"""
KINDS = {
    "steps": "work = StepWorker(print, print); work.start(steps())",
    "look": "work = Look(Session, 0); work.start()",
}
END = """
until = time.monotonic() + 0.3
while time.monotonic() < until:
    app.processEvents()
assert work._worker is not None
print("the end")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_may_end_during_work(kind):
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + KINDS[kind] + END],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "the end" in ended.stdout
    assert ended.returncode == 0, ended.stderr
    assert "deleted" not in ended.stderr
