"""Progress of a run as a bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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
from napari_her2.core.registration import ErrorLimits

if TYPE_CHECKING:
    from napari_her2.slides.registration.files import RegistrationFile
    from napari_her2.slides.slide import Slide


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


def follow_registration(he: Slide, ihc: Slide) -> RegistrationFile:
    """Register two slides, showing how far it is, and say how well they lie."""
    from napari_her2.slides.registration.files import RegistrationFile
    from napari_her2.slides.registration.register import register_slides

    with bar() as shown:
        task = shown.add_task("reading the slides", total=100)
        for step in register_slides(he, ihc):
            if isinstance(step, RegistrationFile):
                shown.update(task, completed=100, description="registered")
                break
            share = round(100 * step.share)
            shown.update(task, completed=share, description=step.doing)
        else:
            raise AssertionError("a registration ends with its result")
        if (error := step.registration.error) is not None:
            light = error.light(ErrorLimits())
            said = error.sentence(known=step.scale_known)
            shown.console.print(f"{light}: {said}", soft_wrap=True)
    return step
