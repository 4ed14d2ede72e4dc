"""Open thousands of damaged slides: each must open or be refused, nothing else.

Every format is tried in a process of its own with the memory cap of a slide's
worker, and watched from outside: an end of that process is a crash, silence a
hang, and any error but a SlideError a mistake. Damaged files that open are read
whole. A file that made its process crash or hang is then opened as the window opens
slides, through a worker: there it must be refused by name, or be read.

    python benchmarks/hostile_files.py OUT.json [N_FILES [FORMAT ...]]
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from mutations import FORMATS, mutate
from rows import Rows, row_of

COMMAND = "python benchmarks/hostile_files.py"
row = partial(row_of, COMMAND)
N_FILES: Final = 2000
PER_PROCESS: Final = 250
CAP_BYTES: Final = 1 << 30
HANG_S: Final = 30.0
_READ_PX: Final = 1 << 24
CHILD: Final = (sys.executable, __file__, "--child")


@dataclass
class Outcome:
    """What became of the damaged files of one format."""

    n_opened: int = 0
    n_refused: int = 0
    crashed: list[int] = field(default_factory=list)
    hung: list[int] = field(default_factory=list)
    not_held: list[int] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    longest_s: float = 0.0

    @property
    def n_bad(self) -> int:
        """Files that did what no file may do."""
        return len(self.not_held) + len(self.escaped)


def is_held(name: str, seed: int) -> bool:
    """Whether a worker keeps what the damaged file of a seed does from its reader."""
    from napari_her2.core.errors import SlideError
    from napari_her2.slides.slide import open_slide

    with damaged_files(name) as damaged:
        try:
            read_all(open_slide(damaged(seed)))
        except SlideError:
            pass
        except Exception as error:  # noqa: BLE001 - any other error is a finding
            print(f"{name}, seed {seed}: {error!r}", flush=True)
            return False
    return True


def try_format(
    name: str,
    n_files: int,
    first: int = 0,
    child: Sequence[str] = CHILD,
    held: Callable[[str, int], bool] = is_held,
) -> Outcome:
    """Try the seeds of a format; a process that ends early is started again.

    No process tries more than 250: libpng's wrapper loses the memory of an image it
    refused, which a worker, with one file to read, gives back when it ends.
    """
    outcome, seed, end = Outcome(), first, first + n_files
    while seed < end:
        last = min(seed + PER_PROCESS, end)
        with subprocess.Popen(
            [*child, name, str(seed), str(last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders say there what they find
            text=True,
        ) as process:
            seed = _watch(process, outcome, seed, last)
            process.kill()
    ended = sorted((*outcome.crashed, *outcome.hung))
    outcome.not_held += [seed for seed in ended if not held(name, seed)]
    return outcome


def _watch(child: subprocess.Popen[str], outcome: Outcome, seed: int, end: int) -> int:
    """Take in what a child reports; return the seed to go on with."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    pipe = child.stdout
    assert pipe is not None

    def forward() -> None:
        for line in pipe:
            lines.put(line)
        lines.put("")

    threading.Thread(target=forward, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=HANG_S)
        except queue.Empty:
            outcome.hung.append(seed)
            return seed + 1
        if not line:
            code = child.wait()
            if code == 0:
                return end
            if code > 0:
                raise RuntimeError(f"damaging failed at seed {seed}")
            outcome.crashed.append(seed)
            return seed + 1
        seed = _take(json.loads(line), outcome)


def _take(report: dict[str, Any], outcome: Outcome) -> int:
    outcome.n_opened += report["end"] == "opened"
    outcome.n_refused += report["end"] == "refused"
    if report["end"] == "escaped":
        outcome.escaped.append(f"seed {report['seed']}: {report['error']}")
    outcome.peak_bytes = max(outcome.peak_bytes, report["peak_bytes"])
    outcome.longest_s = max(outcome.longest_s, report["seconds"])
    return int(report["seed"]) + 1


def child_main(name: str, first: int, end: int) -> None:
    """Try the seeds of a format in this process and print a line for each."""
    import resource

    from napari_her2.core.errors import SlideError
    from napari_her2.slides.slide import open_slide

    resource.setrlimit(resource.RLIMIT_DATA, (CAP_BYTES, CAP_BYTES))
    with damaged_files(name) as damaged:
        for seed in range(first, end):
            target = damaged(seed)
            report: dict[str, Any] = {"seed": seed, "end": "opened"}
            began = time.perf_counter()
            try:
                read_all(open_slide(target, in_process=True))
            except SlideError:
                report["end"] = "refused"
            except Exception as error:  # noqa: BLE001 - any other error is a finding
                report |= {"end": "escaped", "error": repr(error)}
            report["seconds"] = time.perf_counter() - began
            report["peak_bytes"] = _peak_bytes()
            print(json.dumps(report), flush=True)


@contextmanager
def damaged_files(name: str) -> Iterator[Callable[[int], Path]]:
    """Give a function that writes the damaged file of a seed, one at a time."""
    form = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound" / form.name
        target = Path(folder) / form.name
        sound.parent.mkdir()
        form.write(sound)

        def damaged(seed: int) -> Path:
            mutate(form, sound, target, seed)
            return target

        yield damaged


def _peak_bytes() -> int:
    """Return the most memory this process held.

    On Linux ``ru_maxrss`` begins with that of the process it was started from.
    """
    import resource

    with suppress(OSError), Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def read_all(slide: Any) -> None:
    """Read the corners and the middle of every level, small levels whole."""
    with slide:
        for level in slide.levels:
            height, width = level.shape[:2]
            if height * width <= _READ_PX:
                assert level[:].shape == level.shape
            for y in (0, height // 2, height - 1):
                for x in (0, width // 2, width - 1):
                    assert level[y : y + 1, x : x + 1].shape == (1, 1, 3)


def rows(n_files: int, names: list[str]) -> Rows:
    """Try formats and return rows of the results."""
    outcomes = {}
    for name in names:
        began = time.perf_counter()
        outcome = outcomes[name] = try_format(name, n_files)
        print(f"{name}: {outcome}, {time.perf_counter() - began:.0f} s", flush=True)

    found = list(outcomes.values())
    n_all = n_files * len(found)
    refused = sum(x.n_refused for x in found) / n_all
    peak = max(x.peak_bytes for x in found) / 1e6
    n_crashed, n_hung, n_not_held = (
        sum(map(len, each))
        for each in zip(*((x.crashed, x.hung, x.not_held) for x in found), strict=True)
    )
    return [
        row("damaged files that were opened", n_all, "files"),
        row("damaged files: formats", len(found), ""),
        row("damaged files: crashes of a decoder", n_crashed, ""),
        row("damaged files: hangs of a decoder", n_hung, ""),
        row("damaged files: crashes, hangs not held", n_not_held, "", exactly=0),
        row(
            "damaged files: other errors",
            sum(len(x.escaped) for x in found),
            "",
            exactly=0,
        ),
        row("damaged files: share that is refused", refused, ""),
        row("damaged files: most memory", peak, "MB", CAP_BYTES / 1e6),
        row("damaged files: longest", max(x.longest_s for x in found), "s"),
    ]


def main() -> None:
    """Try what the command line names, or all."""
    if sys.argv[1:2] == ["--child"]:
        child_main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    n_files = int(sys.argv[2]) if len(sys.argv) > 2 else N_FILES
    found = rows(n_files, sys.argv[3:] or list(FORMATS))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
