"""Progress of a run as a bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from napari_her2.core.progress import Progress as RunProgress
from napari_her2.core.progress import RegionDone, RunStarted, StainsDoubted, TileDone
from napari_her2.core.records import Suggestion


def bar() -> Progress:
    """Return a progress bar that stays out of standard output."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def follow_run(run: Iterator[RunProgress]) -> tuple[Suggestion, ...]:
    """Iterate a run to its end, showing its tiles; return what it suggests."""
    suggestions = []
    with bar() as shown:
        task = shown.add_task("tiles", total=None)
        for step in run:
            match step:
                case StainsDoubted():
                    for sentence in step.sentences:
                        shown.console.print(f"napari-her2: {sentence}")
                case RunStarted():
                    shown.update(task, total=step.n_tiles, completed=step.n_cached)
                case TileDone():
                    shown.update(task, total=step.n_tiles, completed=step.n_done)
                case RegionDone():
                    suggestions.append(step.suggestion)
    return tuple(suggestions)
