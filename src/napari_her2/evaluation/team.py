"""Regions of an evaluation worked on in this process or spread over several.

What a region gives does not depend on who works on it: every process has the
networks of the same backend and computes one region at a time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import torch

from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.settings import Settings
from napari_her2.evaluation.workspace import Workspace

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Task(Hashable, Protocol[R_co]):
    """Something done to single regions; small, so that it can be sent to a process."""

    @property
    def at_once(self) -> int:
        """Regions that one process takes in a row."""
        ...

    def prepare(self, space: Workspace) -> Callable[[int], R_co]:
        """Return what does it to a region."""
        ...


class Team:
    """Works on tasks; a context that ends its processes.

    Parameters
    ----------
    space
        The evaluation, its regions open.
    """

    def __init__(self, space: Workspace) -> None:
        self.space = space
        # several processes on one GPU would only share it
        on_cpu = space.arms.device.type == "cpu"
        self._n = space.settings.processes if on_cpu else 0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def work(self, task: Task[R], regions: Sequence[int]) -> Iterator[tuple[int, R]]:
        """Yield regions and what the task gave of them, as they are done."""
        if self._n < 2 or len(regions) < 2:
            do = task.prepare(self.space)
            for region in regions:
                yield region, do(region)
            return
        size = max(1, min(task.at_once, len(regions) // self._n))
        futures = [
            self._processes().submit(_work, task, regions[first : first + size])
            for first in range(0, len(regions), size)
        ]
        try:
            for future in as_completed(futures):
                yield from future.result()
        finally:
            for future in futures:
                future.cancel()

    def each(
        self, task: Task[R], n: int, work: str
    ) -> Generator[EvaluationProgress, None, list[R]]:
        """Return what a task gives of n regions, in their order."""
        found: dict[int, R] = {}
        for region, result in self.work(task, range(n)):
            found[region] = result
            yield EvaluationProgress(work, len(found), n)
        return [found[region] for region in range(n)]

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            threads = max(1, torch.get_num_threads() // self._n)
            space = self.space
            self._pool = ProcessPoolExecutor(
                self._n,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(replace(space.settings, backend=space.backend), threads),
            )
        return self._pool


_mine: dict[str, Any] = {}
"""What a process of a team holds: its workspace, and its task made ready."""


def _start(settings: Settings, threads: int) -> None:
    torch.set_num_threads(threads)
    space = Workspace.open(replace(settings, processes=0))
    for _ in space.open_regions():
        pass  # all are rendered already
    _mine["space"] = space


def _work(task: Task[R], regions: Sequence[int]) -> list[tuple[int, R]]:
    if _mine.get("task") != task:
        _mine.update(task=task, do=task.prepare(_mine["space"]))
    return [(region, _mine["do"](region)) for region in regions]
